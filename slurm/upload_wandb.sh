#!/usr/bin/env bash
# Upload every offline W&B run below a folder, each once:  slurm/upload_wandb.sh [outputs]
# W&B marks what it has uploaded; a run that has grown since is uploaded again. Exits with 1 if any failed.
set -u
trap 'exit 130' INT

folder=${1:-outputs}
[ -d "$folder" ] || { echo "error: there is no folder $folder" >&2; exit 2; }
command -v wandb >/dev/null || { echo "error: wandb is not on the path: activate the environment" >&2; exit 2; }

before=$(mktemp)
trap 'rm -f "$before"' EXIT
uploaded=0 former=0 failed=()
while IFS= read -r -d '' file; do
    mark=$file.synced
    if [ -e "$mark" ] && [ ! "$file" -nt "$mark" ]; then
        former=$((former + 1))
        continue
    fi
    rm -f "$mark"
    touch -r "$file" "$before"
    # The mark counts, not the exit status, which is 0 for some uploads that fail.
    wandb sync "${file%/*}" </dev/null
    if [ -e "$mark" ]; then
        touch -r "$before" "$mark" # of a run still being written, the rest comes next time
        uploaded=$((uploaded + 1))
    else
        failed+=("${file%/*}")
    fi
done < <(find "$folder" -type f -path '*/offline-run-*/run-*.wandb' -print0)

echo "$uploaded uploaded, $former uploaded before, ${#failed[@]} failed"
[ ${#failed[@]} = 0 ] || printf 'failed: %s\n' "${failed[@]}"
[ ${#failed[@]} = 0 ]
