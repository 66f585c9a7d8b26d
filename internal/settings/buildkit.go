package settings

import (
	"gopkg.in/yaml.v3"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/containerfile/buildkit"
	"github.com/libresh/libre/internal/registry"
)

func buildKitKeys(b *containerfile.BuildKit) []key {
	return []key{
		{"host", "", "unix:///PATH, tcp://HOST:PORT or kube-pod://POD", "host: tcp://builder.example:1234", text(&b.Host, checkBuildKitHost)},
		{"others", "", "a list of addresses of more daemons, for other platforms", "others: [tcp://arm.example:1234]", list(&b.Others, checkBuildKitHost)},
		{"ca", "", "a PEM file of certificate authorities for the daemon", "ca: buildkit/ca.pem", text(&b.CA, checkFile)},
		{"cert", "", "a PEM file with the certificate of this client", "cert: buildkit/cert.pem", text(&b.Cert, checkFile)},
		{"key", "", "a PEM file with its private key", "key: buildkit/key.pem", text(&b.Key, checkFile)},
		{"cache", "", "REGISTRY/REPOSITORY for the results of steps", "cache: registry.example/coop/build-cache", text(&b.Cache, registry.CheckPrefix)},
	}
}

func checkBuildKitHost(host string) error {
	if buildkit.CheckHost(host) != nil {
		return errWord
	}
	return nil
}

// readBuildKit reads where BuildKit's daemon is. A certificate needs its key.
func readBuildKit(into *containerfile.BuildKit, dir string) reader {
	return func(at location, node *yaml.Node) error {
		if err := mapping(buildKitKeys(into))(at, node); err != nil {
			return err
		}
		if (into.Cert == "") != (into.Key == "") {
			return at.wrong(node, "cert and key need each other")
		}
		for _, file := range []*string{&into.CA, &into.Cert, &into.Key} {
			*file = inFolder(dir, *file)
		}
		return nil
	}
}
