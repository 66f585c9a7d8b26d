# A hash for a fetcher. Nothing has this one, which stands for a hash that is still to be
# found: a build fails, and libre hash writes the right one.
hash: if hash == "" then "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" else hash
