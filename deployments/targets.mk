# The cluster is the one that kubectl speaks to. With PUSH the images go to a registry, from which it pulls them.
KUBECTL ?= kubectl
OVERLAY ?= deployments/kubernetes/overlays/minikube
NAMESPACE ?= slipway
TAG ?= dev
PUSH ?=
IMAGES := $(or $(PUSH),slipway)
COMPONENTS ?=
# The model is mnist where MODEL does not name the module of another one, as for a delivery on this machine. Its name is
# known since its image was built; NAME says it where there is no module. (WSL has a NAME in the environment.)
MODEL ?=
MODEL_REQUIREMENTS ?=
MODEL_FOLDER ?=
GIVEN_NAME := $(if $(filter command,$(origin NAME)),$(NAME))
name_file = build/models/$(subst /,_,$(MODEL))
ifndef GIVEN_NAME
NAME = $(if $(MODEL),$(or $(file <$(name_file)),$(error the model of $(MODEL) has no image yet: make image MODEL=$(MODEL))),mnist)
endif
OTHER = $(filter-out mnist,$(NAME))
FLOWS = $(IMAGES)/flow$(if $(or $(MODEL),$(OTHER)),-$(NAME)):$(TAG)
SECRETS := $(addprefix deployments/kubernetes/overlays/,minikube/auth.env multi-node/auth.env multi-node/postgres.env)
IN_WORKER = $(KUBECTL) -n $(NAMESPACE) exec deployment/prefect-worker --container worker --

# The passwords of the Prefect API and of its database: those of the cluster where it has them, so that another clone
# changes none, else made once.
PASSWORD = "$$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
present = $(KUBECTL) -n $(NAMESPACE) get secret $(1) --request-timeout 5s \
	-o go-template='{{index .data "$(2)" | base64decode}}' 2>/dev/null
%/minikube/auth.env:
	@umask 077 && printf 'auth-string=slipway:%s\n' $(PASSWORD) > $@
%/multi-node/auth.env: | %/minikube/auth.env
	@umask 077 && cp $| $@
%/postgres.env:
	@umask 077 && printf 'password=%s\n' $(PASSWORD) > $@

passwords: $(SECRETS)
	@umask 077; for file in $(SECRETS); do \
		case $$file in \
			*/auth.env) key=auth-string value=$$($(call present,prefect-auth,auth-string)) ;; \
			*) key=password value=$$($(call present,postgres,password)) ;; \
		esac; \
		[ -z "$$value" ] || { printf '%s=%s\n' $$key "$$value" > $$file.new && mv $$file.new $$file; } || exit; \
	done

image: $(SECRETS) ## build the images of the flows and of the model server, and of MODEL=my_model.py (PUSH=registry/name pushes them)
	for target in flow serve; do \
		DOCKER_BUILDKIT=1 docker build --file docker/Dockerfile --target $$target --tag $(IMAGES)/$$target:$(TAG) \
			--build-arg REVISION=$$(git describe --always --dirty) . || exit; \
		[ -z "$(PUSH)" ] || docker push $(IMAGES)/$$target:$(TAG) || exit; \
	done
	$(if $(MODEL),@$(MAKE) --no-print-directory model-image)

# The module and what it needs, on top of the image of the flows: with the .py files beside it or, with MODEL_FOLDER=1,
# all that is beside it, and the packages of MODEL_REQUIREMENTS=requirements.txt.
model-image:
	@mkdir -p build/models
	REQUIREMENTS=$(MODEL_REQUIREMENTS) WHOLE_FOLDER=$(MODEL_FOLDER) deployments/model-image.sh $(MODEL) $(IMAGES) $(TAG) $(GIVEN_NAME) > $(name_file).new
	@mv $(name_file).new $(name_file)
	$(if $(PUSH),docker push $(IMAGES)/flow-$$(cat $(name_file)):$(TAG))

# How images get into a cluster that pulls them from no registry; by the name of kubectl's context.
CONTEXT = $(shell $(KUBECTL) config current-context 2>/dev/null)
LOAD ?= $(if $(filter kind-%,$(CONTEXT)),kind load docker-image --name $(CONTEXT:kind-%=%),minikube --profile $(CONTEXT) image load)

load: ## bring the images into the cluster: minikube, kind, or LOAD='a command'; nothing to do with PUSH
	$(if $(PUSH),,$(LOAD) $(sort $(IMAGES)/flow:$(TAG) $(IMAGES)/serve:$(TAG) $(FLOWS)))

# The overlay with the namespace, the components and the images of this call. Annotations start pods anew when an image
# was built again under the same name or a password changed: those of Prefect at once, those of a channel with its next
# rollout.
comma := ,
digest = $(shell docker image inspect --format '{{.Id}}' $(IMAGES)/$(1):$(TAG) 2>/dev/null | cut -c1-19)
passwords = $(shell cat $(SECRETS) | sha256sum | cut -c1-16)
define ANNOTATED
  - target: {kind: Deployment, name: $(1)}
    patch: '{apiVersion: apps/v1, kind: Deployment, metadata: {name: any}, spec: {template: {metadata: {annotations: {$(2)}}}}}'
endef
define KUSTOMIZATION
namespace: $(NAMESPACE)
resources: [../../$(OVERLAY)$(if $(OTHER),$(comma) model)]
components: [$(foreach component,$(COMPONENTS),../../deployments/kubernetes/components/$(component),)]
images:
  - {name: slipway/flow, newName: $(IMAGES)/flow, newTag: "$(TAG)"}
  - {name: slipway/serve, newName: $(IMAGES)/serve, newTag: "$(TAG)"}
patches:
$(call ANNOTATED,prefect-(server|worker),slipway/image: "$(call digest,flow)"$(comma) slipway/passwords: "$(passwords)")
$(call ANNOTATED,$(NAME)-(stage|production),slipway/image: "$(call digest,serve)")
$(if $(OTHER),$(WITHOUT_MNIST))
endef
# Of the overlay's own model nothing is said, and so nothing is changed.
define WITHOUT_MNIST
  - target: {labelSelector: slipway/model=mnist}
    patch: '{$$patch: delete, apiVersion: any, kind: any, metadata: {name: any}}'
endef
# No pod of one model is another's: the names of the servers differ, and selectors have them.
define MODEL_KUSTOMIZATION
namePrefix: $(NAME)-
labels:
  - pairs: {slipway/model: $(NAME)}
    includeTemplates: true
  - pairs: {app.kubernetes.io/name: model-server-$(NAME)}
    includeSelectors: true
resources: [../../../deployments/kubernetes/model]
endef
build/kubernetes/model:
	@mkdir -p $@

build/kubernetes/kustomization.yaml: FORCE | build/kubernetes/model
	$(file >$@.new,$(KUSTOMIZATION))
	@mv $@.new $@
	$(file >build/kubernetes/model/kustomization.yaml,$(MODEL_KUSTOMIZATION))

manifests: passwords build/kubernetes/kustomization.yaml ## bring up the namespace: Prefect, volumes, accounts, the channels of a model (NAME=mnist)
	$(KUBECTL) apply -k build/kubernetes
	$(if $(filter token,$(COMPONENTS)),@$(call present,serving-token,token) | grep -q . || printf %s $(PASSWORD) | \
		$(KUBECTL) -n $(NAMESPACE) create secret generic serving-token --from-file=token=/dev/stdin)
	$(KUBECTL) -n $(NAMESPACE) wait --for condition=Available --timeout 5m deployment/prefect-server deployment/prefect-worker

# The parameters of a delivery are those of its model: where that is not in the worker's image, its own one registers.
define IN_IMAGE
NAMESPACE=$(NAMESPACE) KUBECTL="$(KUBECTL)" deployments/register.sh $(FLOWS)
endef
define AT_WORKER
$(IN_WORKER) slipway register --image \
	$$($(KUBECTL) -n $(NAMESPACE) get deployment prefect-worker -o 'jsonpath={.spec.template.spec.containers[0].image}')
endef
deployments: ## register the work pool, the automations, and the deployments of a model
	$(if $(or $(MODEL),$(OTHER)),$(IN_IMAGE),$(AT_WORKER))

# With DATA=data the datasets are those of this machine, for a cluster that reaches none of their sources.
deliver-kubernetes: image load manifests deployments $(if $(DATA),seed) ## deliver on the cluster: images, manifests, deployments, one delivery (MODEL=my_model.py)
	$(IN_WORKER) prefect deployment run deliver/$(or $(OTHER),kubernetes) --watch
	@echo "ask it   $(KUBECTL) -n $(NAMESPACE) port-forward service/$(NAME)-production 8501"
	@echo '         curl $(if $(filter token,$(COMPONENTS)),-H "Authorization: Bearer $$($(KUBECTL) -n $(NAMESPACE) get secret serving-token -o jsonpath={.data.token} | base64 -d)" )http://127.0.0.1:8501/v1/models/$(NAME)'

seed: ## copy the datasets' files of this machine (DATA=data) into the cluster, where it reaches no source
	NAMESPACE=$(NAMESPACE) KUBECTL="$(KUBECTL)" deployments/seed.sh $(or $(DATA),data)

test-kubernetes: env-test image load ## run the tests on the cluster that kubectl speaks to (20 minutes)
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m pytest -m kubernetes tests/kubernetes $(PYTEST_OPTIONS)

test-compose: env-test image ## deliver through docker/compose.yaml, with the Docker engine of this machine (minutes)
	IMAGES=$(IMAGES) TAG=$(TAG) $(BIN)/python -m pytest -m compose tests/compose $(PYTEST_OPTIONS)

# The targets stand in the order in which they have to be made.
.NOTPARALLEL:
.PHONY: FORCE passwords image model-image load manifests deployments deliver-kubernetes seed test-kubernetes test-compose
