URL=${URL:-http://127.0.0.1:8000}

# A file of 20 MB, cut into chunks of 8 MiB.
[ -f big.bin ] || head -c 20000000 /dev/urandom > big.bin
split --bytes 8M --numeric-suffixes=1 --suffix-length=1 big.bin big.bin-

# Send the chunks: in any order, several at a time, again if a connection breaks.
for n in 3 1 2; do
  curl -fsS -H 'Upload-Chunk-Size: 8388608' --data-binary "@big.bin-$n" "$URL/upload/big.bin-$n" && echo
done

# All are there: have the file verified and published.
curl -fsS -d file_unique_name=big.bin -d total_chunks=3 -d size=20000000 \
  -d sha256="$(sha256sum < big.bin | cut -c 1-64)" "$URL/upload/complete" && echo

# Ask until it is done.
until curl -fsS "$URL/upload/big.bin" | grep -q '"state":"done"'; do sleep 0.2; done
curl -fsS "$URL/upload/big.bin" && echo
