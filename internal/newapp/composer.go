package newapp

import "encoding/json"

// readComposer finds a PHP program at the top of the source.
// https://getcomposer.org/doc/04-schema.md
func (f *Findings) readComposer(t *tree) bool {
	var manifest struct {
		Description, Homepage string
		License               any
	}
	content := t.read("composer.json")
	if content == nil || json.Unmarshal(content, &manifest) != nil {
		return false
	}
	if !t.has("composer.lock") {
		f.lookAt("composer.json has no composer.lock, from which nixpkgs builds: add one")
		return false
	}
	f.found("composer.json with composer.lock: php.buildComposerProject2")
	f.describe(manifest.Description)
	f.setHomepage(manifest.Homepage)
	if expression, isText := manifest.License.(string); isText {
		f.declared(expression, "composer.json")
	}
	f.hashes = append(f.hashes, "vendorHash")
	arguments := set{{path: []string{"pname"}, value: f.name}}
	arguments.add(code("hashes.vendorHash"), "vendorHash")
	var a set
	a.add(f.packageOf("hashes", "pkgs.php.buildComposerProject2", arguments), "package")
	f.addComponent("web", a)
	f.lookAt("PHP needs a server, such as pkgs.frankenphp: write entrypoint and ports.http")
	return true
}
