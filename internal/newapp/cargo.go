package newapp

import (
	"cmp"

	"github.com/pelletier/go-toml/v2"

	"github.com/libresh/libre/internal/text"
)

// readCargo finds a Rust program at the top of the source.
// https://doc.rust-lang.org/cargo/reference/manifest.html
func (f *Findings) readCargo(t *tree) bool {
	var manifest struct {
		Package struct {
			Name, Description, Homepage, License string
		} `toml:"package"`
		Bin []struct{ Name string } `toml:"bin"`
	}
	content := t.read("Cargo.toml")
	if content == nil {
		return false
	}
	if err := toml.Unmarshal(content, &manifest); err != nil {
		manifest.Package.Description = "" // a workspace may inherit what is a text otherwise
	}
	if !t.has("Cargo.lock") {
		f.lookAt("Cargo.toml has no Cargo.lock, from which nixpkgs builds: add one")
		return false
	}
	f.found("Cargo.toml with Cargo.lock: buildRustPackage")
	f.describe(manifest.Package.Description)
	f.setHomepage(manifest.Package.Homepage)
	f.declared(manifest.Package.License, "Cargo.toml")
	f.hashes = append(f.hashes, "cargoHash")
	arguments := set{{path: []string{"pname"}, value: f.name}}
	arguments.add(code("hashes.cargoHash"), "cargoHash")
	arguments.add(false, "doCheck")
	program := manifest.Package.Name
	if len(manifest.Bin) > 0 {
		program = manifest.Bin[0].Name
	}
	var a set
	a.add(f.packageOf("hashes", "pkgs.rustPlatform.buildRustPackage", arguments), "package")
	a.addGuess("the program of Cargo.toml", []string{"bin/" + cmp.Or(text.Line(program), f.name)}, "entrypoint")
	f.addComponent("server", a)
	f.lookAt("nothing says on which port it listens: write ports.http, and health")
	return true
}
