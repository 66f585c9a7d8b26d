package newapp

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/text"
)

// packageJSON has the fields of a package.json that libre reads.
// https://docs.npmjs.com/cli/v11/configuring-npm/package-json
type packageJSON struct {
	Name, Description, Homepage string
	License                     any
	Bin                         any
	Scripts                     map[string]string
}

// programs are the names of the programs that the package installs.
func (p *packageJSON) programs() []string {
	switch bin := p.Bin.(type) {
	case string:
		return []string{p.Name[strings.LastIndex(p.Name, "/")+1:]}
	case map[string]any:
		return slices.Sorted(maps.Keys(bin))
	}
	return nil
}

// readNode finds a Node.js program at the top of the source, and builds it with nixpkgs'
// builder for its lock file.
func (f *Findings) readNode(t *tree) bool {
	var p packageJSON
	content := t.read("package.json")
	if content == nil || json.Unmarshal(content, &p) != nil {
		return false
	}
	f.describe(p.Description)
	f.setHomepage(p.Homepage)
	if expression, isText := p.License.(string); isText {
		f.declared(expression, "package.json")
	}
	var builder string
	var arguments set
	arguments.add(f.name, "pname")
	switch {
	case t.has("package-lock.json"):
		builder, arguments = f.npm(&p, arguments)
	case t.has("pnpm-lock.yaml"):
		builder, arguments = f.pnpm(arguments)
	case t.has("yarn.lock") && bytes.Contains(t.read("yarn.lock"), []byte("# yarn lockfile v1")):
		builder, arguments = f.yarn(arguments)
	case t.has("yarn.lock"):
		builder, arguments = f.yarnBerry(arguments)
	default:
		f.lookAt("package.json has no lock file that nixpkgs can build from: add package-lock.json, pnpm-lock.yaml or yarn.lock")
		return false
	}
	var a set
	a.add(f.packageOf("hashes", builder, arguments), "package")
	if programs := p.programs(); len(programs) > 0 {
		a.add([]string{"bin/" + programs[0]}, "entrypoint")
	} else {
		f.lookAt("package.json names no program: write entrypoint, or server and what it serves")
	}
	f.addComponent("web", a)
	f.lookAt("nothing says on which port it listens: write ports.http, and health")
	return true
}

// packageOf is a package function that calls a builder of nixpkgs. arguments begin with pname.
func (f *Findings) packageOf(takes, builder string, arguments set) code {
	f.NeedsNixpkgs = true
	all := set{arguments[0], {path: []string{"version"}}, {path: []string{"src"}, value: code("source")}}
	all = append(all, arguments[1:]...)
	if takes != "" {
		takes += ", "
	}
	return code("{ source, version, " + takes + "pkgs, ... }: " + builder + " " + setText(all, ""))
}

func (f *Findings) npm(p *packageJSON, arguments set) (string, set) {
	f.found("package.json with package-lock.json: buildNpmPackage")
	f.hashes = append(f.hashes, "npmDepsHash")
	arguments.add(code("hashes.npmDepsHash"), "npmDepsHash")
	if p.Scripts["build"] == "" {
		arguments.add(true, "dontNpmBuild")
	}
	return "pkgs.buildNpmPackage", arguments
}

// pnpm: https://nixos.org/manual/nixpkgs/stable/#javascript-pnpm
func (f *Findings) pnpm(arguments set) (string, set) {
	f.found("package.json with pnpm-lock.yaml: fetchPnpmDeps")
	f.hashes = append(f.hashes, "pnpmDepsHash")
	deps := set{{path: []string{"pname"}, value: f.name}, {path: []string{"version"}}, {path: []string{"src"}, value: code("source")}}
	deps.add(3, "fetcherVersion")
	deps.add(code("hashes.pnpmDepsHash"), "hash")
	arguments.add(code("[ pkgs.nodejs pkgs.pnpm pkgs.pnpmConfigHook ]"), "nativeBuildInputs")
	arguments.add(code("pkgs.fetchPnpmDeps "+setText(deps, "")), "pnpmDeps")
	arguments.add(code("''\n  runHook preBuild\n  pnpm run build\n  runHook postBuild\n''"), "buildPhase")
	f.installAll(&arguments)
	return "pkgs.stdenv.mkDerivation", arguments
}

// yarn is version 1: https://nixos.org/manual/nixpkgs/stable/#javascript-yarn-v1
func (f *Findings) yarn(arguments set) (string, set) {
	f.found("package.json with yarn.lock of Yarn 1: fetchYarnDeps")
	f.hashes = append(f.hashes, "yarnDepsHash")
	deps := set{{path: []string{"yarnLock"}, value: code(`source + "/yarn.lock"`)}, {path: []string{"hash"}, value: code("hashes.yarnDepsHash")}}
	arguments.add(code("pkgs.fetchYarnDeps "+setText(deps, "")), "yarnOfflineCache")
	arguments.add(code("[ pkgs.nodejs pkgs.yarnConfigHook pkgs.yarnBuildHook pkgs.yarnInstallHook ]"), "nativeBuildInputs")
	return "pkgs.stdenv.mkDerivation", arguments
}

// yarnBerry is Yarn 2 and later: https://nixos.org/manual/nixpkgs/stable/#javascript-yarn-v3-v4
func (f *Findings) yarnBerry(arguments set) (string, set) {
	f.found("package.json with yarn.lock of Yarn 2 or later: fetchYarnBerryDeps")
	f.lookAt("if a dependency has no checksum in yarn.lock, write missingHashes, as nixpkgs' manual says")
	f.hashes = append(f.hashes, "yarnDepsHash")
	deps := set{{path: []string{"src"}, value: code("source")}, {path: []string{"hash"}, value: code("hashes.yarnDepsHash")}}
	arguments.add(code("pkgs.yarn-berry.fetchYarnBerryDeps "+setText(deps, "")), "offlineCache")
	arguments.add(code("[ pkgs.nodejs pkgs.yarn-berry pkgs.yarn-berry.yarnBerryConfigHook ]"), "nativeBuildInputs")
	arguments.add(code("''\n  runHook preBuild\n  yarn run build\n  runHook postBuild\n''"), "buildPhase")
	f.installAll(&arguments)
	return "pkgs.stdenv.mkDerivation", arguments
}

// installAll installs the folder of a build, since nothing says what of it is the program.
func (f *Findings) installAll(arguments *set) {
	f.lookAt("installPhase copies everything that was built: keep what runs, of %s", text.Name(f.name))
	arguments.addGuess("keep what runs", code("''\n  runHook preInstall\n  mkdir -p $out/lib\n  cp -r . $out/lib/app\n  runHook postInstall\n''"), "installPhase")
}
