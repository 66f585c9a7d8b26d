# This folder as a flake input: the CLI passes the copy that it carries, so that
# a catalogue is always evaluated with the Nix code of the libre that runs.
{
  description = "libre: container images of a catalogue of web applications";

  outputs = _: { lib = import ./.; };
}
