# This folder as a flake input. The CLI passes its embedded copy, so that a catalogue is
# always evaluated with the Nix code of the running libre.
{
  description = "libre: container images of a catalogue of web applications";

  outputs = _: { lib = import ./.; };
}
