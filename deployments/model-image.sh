#!/usr/bin/env bash
# Builds the image of a model's runs on top of the image of the flows, and prints the model's name.
#
#     deployments/model-image.sh MODEL IMAGES TAG [NAME]
#
# MODEL is a file, as my_model.py, with the other .py files of its folder, or with all that the folder holds where
# WHOLE_FOLDER is set; or a module of a package in this folder, as my_package.model, with the whole package.
# REQUIREMENTS names a file with what it needs beside Slipway. The image is IMAGES/flow-NAME:TAG by the model's name,
# which is asked of the module; a NAME that is given has to be that.
set -euo pipefail

model=$1 images=$2 tag=$3 name=${4:-}
requirements=${REQUIREMENTS:-}
folder=$(dirname "$0")/..
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

fail() {
    echo "model-image: $1" >&2
    exit 2
}

copy() {
    tar --create --directory "$1" --exclude __pycache__ --exclude '*/.*' . | tar --extract --directory "$2"
}

mkdir "$context/module"
case $model in
    *.py)
        [ -f "$model" ] || fail "MODEL=$model: there is no such file"
        if [ -n "${WHOLE_FOLDER:-}" ]; then
            copy "$(dirname "$model")" "$context/module"
        else
            cp "$(dirname "$model")"/*.py "$context/module"
        fi
        inside=/model/$(basename "$model") ;;
    */*) fail "MODEL=$model: a file ends in .py, and a module of a package is named with dots" ;;
    *)
        package=${model%%.*}
        [ -d "$package" ] || fail "MODEL=$model: there is no package $package in $PWD; a file is named with its .py"
        mkdir "$context/module/$package"
        copy "$package" "$context/module/$package"
        inside=$model ;;
esac
touch "$context/requirements.txt"
if [ -n "$requirements" ]; then
    [ -f "$requirements" ] || fail "MODEL_REQUIREMENTS=$requirements: there is no such file"
    cp "$requirements" "$context/requirements.txt"
fi
# Runs are those of another user.
chmod --recursive a+rX "$context"

# Its name is known when it is there.
unnamed=$images/flow-model:$tag-$$
DOCKER_BUILDKIT=1 docker build --file "$folder/docker/model.Dockerfile" --build-arg FLOW="$images/flow:$tag" \
    --build-arg MODEL="$inside" --tag "$unnamed" "$context" >&2
trap 'rm -rf "$context"; docker rmi "$unnamed" > /dev/null' EXIT
found=$(docker run --rm --network none "$unnamed" slipway register --print-name)
[ "${name:-$found}" = "$found" ] || fail "the model of $model is called $found, not $name"
docker tag "$unnamed" "$images/flow-$found:$tag"
echo "$found"
