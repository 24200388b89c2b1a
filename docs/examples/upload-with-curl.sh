#!/usr/bin/env bash
# Upload a file with curl and coreutils alone, over a network that fails.
#
#   upload-with-curl.sh FILE URL [CHUNK_MIB] [--undeclared]
#
# URL is where the chunk API is, as http://127.0.0.1:8000/upload. Chunks of CHUNK_MIB (8) go in random order, four at
# a time, every tenth of them twice. Run again, it goes on with what is missing on the server or not. --undeclared
# tells the server neither size nor chunk size beforehand. Exits with 0 only if the server's file is ours.
set -euo pipefail

usage() {
  echo "usage: $0 FILE URL [CHUNK_MIB] [--undeclared]" >&2
  exit 2
}

declared=yes words=()
for word in "$@"; do
  if [[ $word == --undeclared ]]; then declared=no; else words+=("$word"); fi
done
[[ ${#words[@]} -ge 2 && ${#words[@]} -le 3 && ${words[2]:-8} =~ ^[1-9][0-9]*$ && -f ${words[0]} ]] || usage

file=${words[0]} base=${words[1]%/} mib=${words[2]:-8}
name=$(basename -- "$file")
# In a URL every byte of the name may be written as %XX.
encoded=$(printf %s "$name" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g')
size=$(wc -c < "$file")
total=$(((size + mib * 1048576 - 1) / (mib * 1048576)))
((total > 0)) || total=1 # an empty file has one empty chunk
sha256=$(sha256sum < "$file" | cut -c 1-64)
answers=$(mktemp -d)
trap 'rm -rf "$answers"' EXIT
export declared file base mib encoded size answers

# Chunk N, straight from the file.
chunk() {
  dd if="$file" bs=1M skip=$((($1 - 1) * mib)) count="$mib" status=none
}

# request ANSWER CURL-ARGUMENT...: the status of the answer, 000 if there was none. curl itself tries again when the
# connection fails or the server is away for a moment; without --fail it leaves refusals to us.
request() {
  local answer=$1
  shift
  curl -sS -o "$answer" -w '%{http_code}' --connect-timeout 10 --speed-time 30 --speed-limit 1 \
    --retry 20 --retry-all-errors --retry-delay 1 "$@" 2> "$answer.log" || true
}

# Whether it helps to ask again after STATUS with the ANSWER.
passes() {
  case $1 in
    000 | 408 | 423 | 429 | 5??) return 0 ;;
    409) grep -q '"code":"writers-busy"' "$2" ;;
    *) return 1 ;;
  esac
}

# What the server refused, and in which words.
refused() {
  echo "$1: the server answers $2" >&2
  cat "$3" "$3.log" >&2 || true
  echo >&2
}

# Send chunk N until it is stored.
send() {
  local n=$1 answer=$answers/$1.$$ digest status
  # Content-Digest is base64 of the 32 bytes that the hexadecimal digits stand for.
  digest=$(printf "$(chunk "$n" | sha256sum | cut -c 1-64 | sed 's/../\\x&/g')" | base64)
  local headers=(-H "Content-Type: application/octet-stream" -H "Content-Digest: sha-256=:$digest:")
  if [[ $declared == yes ]]; then
    headers+=(-H "Upload-Chunk-Size: $((mib * 1048576))" -H "Upload-Length: $size")
  fi
  for _ in {1..60}; do
    status=$(chunk "$n" | request "$answer" "${headers[@]}" --data-binary @- "$base/$encoded-$n")
    [[ $status != 20[01] ]] || return 0
    passes "$status" "$answer" || break
    sleep 1
  done
  refused "chunk $n" "$status" "$answer"
  return 255 # xargs then starts no other
}
export -f chunk request passes refused send

{
  seq "$total"
  seq "$total" | shuf -n $(((total + 9) / 10)) # some go twice, as networks do it
} | shuf | xargs -P 4 -n 1 bash -c 'send "$1"' send || exit 1

for _ in {1..60}; do
  status=$(request "$answers/complete" --data-urlencode "file_unique_name=$name" -d "total_chunks=$total" \
    -d "size=$size" -d "sha256=$sha256" "$base/complete")
  [[ $status != 20[02] ]] || break
  passes "$status" "$answers/complete" || break
  sleep 1
done
[[ $status == 20[02] ]] || {
  refused "complete" "$status" "$answers/complete"
  exit 1
}

# Ask until the server has read everything back and put the file in its place.
while true; do
  status=$(request "$answers/state" "$base/$encoded")
  state=$(grep -o '"state":"[a-z]*"' "$answers/state" | head -n 1 | cut -d '"' -f 4 || true)
  if [[ $status != 200 ]] && ! passes "$status" "$answers/state"; then state=refused; fi
  case $state in
    done) break ;;
    assembling | verifying | '') sleep 0.5 ;;
    *)
      refused "$name is $state" "$status" "$answers/state"
      exit 1
      ;;
  esac
done

proof=$(sed -n 's/.*"size":\([0-9]*\),"sha256":"\([0-9a-f]\{64\}\)","content":.*/\1 \2/p' "$answers/state")
if [[ $proof != "$size $sha256" ]]; then
  echo "$name: the server has '$proof', the file is '$size $sha256'" >&2
  exit 1
fi
echo "$name: $size bytes, sha256 $sha256, proven by the server"
