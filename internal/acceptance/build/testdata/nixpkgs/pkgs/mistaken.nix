{ mkDerivation }:
let versions = { old = "1"; }; in
mkDerivation { pname = "mistaken"; version = versions.new; buildCommand = "true"; }
