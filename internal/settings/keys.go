package settings

import (
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/web"
)

// key is a key of libre.yaml, or of a mapping in it. To add a setting, add a key.
type key struct {
	name     string
	variable string // environment variable that overrides it; empty for none
	expected string // describes the values that are allowed
	example  string // in YAML, on one line
	read     reader
}

// keys returns the keys of a libre.yaml in dir.
func (s *Settings) keys(dir string) []key {
	return []key{
		{"registry", "LIBRE_REGISTRY", "REGISTRY[/NAMESPACE]", "registry: registry.example/coop", text(&s.Registry, registry.CheckPrefix)},
		{"copyTo", "", "a list of REGISTRY[/NAMESPACE]", "copyTo: [mirror.example/coop]", list(&s.CopyTo, registry.CheckPrefix)},
		{"alsoTag", "", "a list of tags, which may contain {major} and {minor} of the version", `alsoTag: ["{major}.{minor}", latest]`, list(&s.AlsoTag, catalog.CheckMovingTag)},
		{"forge", "", "github, forgejo or gitlab", "forge: forgejo", text(&s.Forge, oneOf("github", "forgejo", "gitlab"))},
		{"groups", "", "names, each with a list of selections", `groups: {lyon: ["*/*/lyon", docs]}`, s.readGroups},
		{"packageSet", "LIBRE_PACKAGE_SET", "nixpkgs or host", "packageSet: host", text(&s.PackageSet, oneOf("nixpkgs", "host"))},
		{"engine", "LIBRE_ENGINE", "buildah, podman, docker, buildkit or none", "engine: buildah", text(&s.Engine.Name, oneOf("buildah", "podman", "docker", "buildkit", "none"))},
		{"buildkit", "", "a mapping with host, others, ca, cert, key or cache", "buildkit: {host: unix:///run/buildkit/buildkitd.sock}", readBuildKit(&s.Engine.BuildKit, dir)},
		{"build", "", "a mapping with proxy, ca, secrets, ssh or trustUpstream", "build: {proxy: http://proxy.example:3128}", mapping(s.Build.keys(dir))},
		{"cache", "", "a mapping with to and key", "cache: {to: file:///srv/cache, key: cache.key}", readCache(&s.Cache, dir)},
		{"layers", "", "a mapping with compression", "layers: {compression: zstd}", mapping(s.Layers.keys())},
		{"limits", "", "a mapping with archive, image, nested, memory, attachment, attachments, storage or answer", "limits: {archive: 20 GiB}", mapping(s.Limits.keys())},
		{"licenses", "", "a mapping with deny, allow or exceptions", `licenses: {deny: ["AGPL-*"]}`, mapping(licenseKeys(&s.Licenses))},
		{"scan", "", "a mapping with database, maxAge, command or gate", "scan: {maxAge: 240h}", mapping(s.Scan.keys(dir))},
		{"ca", "", "a PEM file of certificate authorities for registries and forges", "ca: our-ca.pem", authorities(&s.CA, dir)},
		{"run", "", "a mapping with needs", `run: {needs: {postgres: "docker.io/library/postgres:17"}}`, mapping(s.Run.keys())},
		{"sbom", "", "a mapping with creator", "sbom: {creator: https://coop.example}", mapping(s.SBOM.keys())},
		{"sign", "", "none, or a mapping with key or keyless", "sign: {key: cosign.key}", s.Sign.read},
	}
}

// authorities reads a file of certificates.
func authorities(into **web.Authorities, dir string) reader {
	return func(at location, node *yaml.Node) error {
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

// inFolder returns the path of a file that a libre.yaml in dir names. It returns "" and
// env://VARIABLE unchanged.
func inFolder(dir, file string) string {
	if file == "" || filepath.IsAbs(file) || strings.Contains(file, "://") {
		return file
	}
	return filepath.Join(dir, file)
}
