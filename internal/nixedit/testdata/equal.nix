{
  version = "1.2.3"; other = "1.2.3"; version2 = "1.2.3";
  source.hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; hashes = {
    vendorHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    npmDepsHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    perSystem = { x86_64-linux = "1.2.3"; aarch64-linux = "1.2.3"; };
  };
  packageVersion = 1; one = 1;
}
