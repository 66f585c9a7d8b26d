package settings

import (
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/web"
)

// key is one key of libre.yaml, or of a mapping in it. A new setting is one more of
// these.
type key struct {
	name     string
	variable string // that beats it, "" where none does
	expected string // what its value may be, in words
	example  string // in YAML, on one line
	read     reader // takes a value, or says why not
}

// keys are all that libre.yaml can set, where it stands in a directory.
func (s *Settings) keys(dir string) []key {
	return []key{
		{"registry", "LIBRE_REGISTRY", "REGISTRY[/NAMESPACE]", "registry: registry.example/coop", text(&s.Registry, registry.CheckPrefix)},
		{"copyTo", "", "a list of REGISTRY[/NAMESPACE]", "copyTo: [mirror.example/coop]", list(&s.CopyTo, registry.CheckPrefix)},
		{"alsoTag", "", "a list of tags, in which {major} and {minor} stand for numbers of the version", `alsoTag: ["{major}.{minor}", latest]`, list(&s.AlsoTag, catalog.CheckMovingTag)},
		{"forge", "", "github or forgejo", "forge: forgejo", text(&s.Forge, oneOf("github", "forgejo"))},
		{"groups", "", "names, and a list of selections for each", `groups: {lyon: ["*/*/lyon", docs]}`, s.readGroups},
		{"packageSet", "LIBRE_PACKAGE_SET", "nixpkgs or host", "packageSet: host", text(&s.PackageSet, oneOf("nixpkgs", "host"))},
		{"engine", "LIBRE_ENGINE", "buildah, podman, docker or none", "engine: buildah", text(&s.Engine, oneOf("buildah", "podman", "docker", "none"))},
		{"build", "", "proxy, ca, secrets, ssh or trustUpstream below it", "build: {proxy: http://proxy.example:3128}", mapping(s.Build.keys(dir))},
		{"limits", "", "archive, image, nested, memory, attachment, attachments, storage or answer below it", "limits: {archive: 20 GiB}", mapping(s.Limits.keys())},
		{"ca", "", "a file of certificates in PEM, of the authorities that sign for the registries and forges", "ca: our-ca.pem", authorities(&s.CA, dir)},
		{"sign", "", "none, or key or keyless below it", "sign: {key: cosign.key}", s.Sign.read},
	}
}

// authorities reads the file of certificates that is named.
func authorities(into **web.Authorities, dir string) reader {
	return func(at place, node *yaml.Node) error {
		file := ""
		if err := text(&file, checkFile)(at, node); err != nil || file == "" {
			return err
		}
		read, err := web.ReadAuthorities(inFolder(dir, file))
		if err != nil {
			return at.wrong(node, err.Error())
		}
		*into = read
		return nil
	}
}

// inFolder is the path of a file that libre.yaml in a folder names. It leaves "" and
// env://VARIABLE as they are.
func inFolder(dir, file string) string {
	if file == "" || filepath.IsAbs(file) || strings.Contains(file, "://") {
		return file
	}
	return filepath.Join(dir, file)
}
