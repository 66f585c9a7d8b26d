package build

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/anchore/packageurl-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/testkit"
)

// dpkgFormat is a format for dpkg-query: the package, then the source package that it was built
// from.
const dpkgFormat = `${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n`

// The SBOM of an image on Debian has the packages that dpkg-query lists in the running image.
// These include packages of a step, but not removed packages, nor those of which only
// configuration is left.
func TestDebianPackagesAreThoseOfTheImage(t *testing.T) {
	t.Parallel()
	testkit.RequireRoot(t)
	testkit.Require(t, "nix", "buildah", "runc")
	host, digest, authority := debianBase(t, "netbase", "hello", "libev4")
	c := newCatalogue(t, map[string]string{
		"debian/default.nix": `{ mkApp, ... }:
mkApp {
  name = "debian"; version = "1"; packageVersion = 1;
  source.path = ./src;
  components = builtins.mapAttrs (name: _: {
    containerfile = name;
    bases."` + host + `/debian:1" = "` + digest + `";
    user = 1000;
  }) { plain = null; added = null; removed = null; };
}
`,
		"debian/src/plain":   "FROM " + host + "/debian:1\nENTRYPOINT [\"dpkg-query\"]\n",
		"debian/src/added":   "FROM " + host + "/debian:1\nRUN dpkg --install /packages/*.deb\nENTRYPOINT [\"dpkg-query\"]\n",
		"debian/src/removed": "FROM " + host + "/debian:1\nRUN dpkg --install /packages/*.deb\nRUN dpkg --remove netbase && dpkg --purge hello && dpkg --purge --force-remove-essential --force-depends hostname\nENTRYPOINT [\"dpkg-query\"]\n",
	})
	c.env = []string{"SSL_CERT_FILE=" + authority}
	var all images
	for image, has := range map[string][]string{"plain": {"hostname"}, "added": {"hello", "libev4", "hostname", "netbase"}, "removed": {"libev4"}} {
		document := all.write(t, c, "debian/"+image+"/default")
		k := runContainer(t, c, "debian-"+image+"-default:1-1", changes{command: []string{"--show", "--showformat", dpkgFormat}})
		version, err := os.ReadFile(filepath.Join(k.root, "etc/debian_version"))
		if err != nil {
			t.Fatal(err)
		}
		want := installed(k.wait(t), "debian-"+strings.TrimSpace(string(version)))
		for _, name := range []string{"hello", "libev4", "hostname", "netbase"} {
			there := slices.ContainsFunc(want, func(line string) bool { return strings.HasPrefix(line, name+" ") })
			if there != slices.Contains(has, name) {
				t.Errorf("%s: %s is installed: %t", image, name, there)
			}
		}
		d, err := sbom.Read(document.cyclonedx)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, component := range d.Components {
			if component.Type == "deb" { // and not the application
				got = append(got, component.Name+" "+component.Version+" "+debianPURL(t, component.PURL))
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: what dpkg-query lists, and the components in CycloneDX: %s", image, diff)
		}
		if diff := cmp.Diff(want, spdxPackages(t, document.spdx)); diff != "" {
			t.Errorf("%s: what dpkg-query lists, and the packages in SPDX: %s", image, diff)
		}
	}
	all.validate(t)
}

// debianBase serves a base image of Debian over TLS. authority is a file with the certificate
// of its authority. Its folder /packages has files of packages that are not installed.
func debianBase(t *testing.T, others ...string) (host, digest, authority string) {
	t.Helper()
	server := httptest.NewTLSServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host, authority = server.Listener.Addr().String(), filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, authority, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	layer, err := tarball.LayerFromFile(testkit.DebianRoot(t, others...))
	if err != nil {
		t.Fatal(err)
	}
	base, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	file, err := base.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", strings.TrimSpace(libre.Tool(t, "dpkg", "--print-architecture"))
	file.Config = v1.Config{Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}}
	if base, err = mutate.ConfigFile(base, file); err != nil {
		t.Fatal(err)
	}
	reference, err := name.ParseReference(host + "/debian:1")
	if err == nil {
		err = remote.Write(reference, base, remote.WithTransport(server.Client().Transport))
	}
	hash, hashErr := base.Digest()
	if err != nil || hashErr != nil {
		t.Fatal(err, hashErr)
	}
	return host, hash.String(), authority
}

// installed returns the installed packages of dpkg-query's list: name, version and purl.
// https://github.com/package-url/purl-spec/blob/main/types-doc/deb-definition.md
func installed(list, release string) (packages []string) {
	for line := range strings.Lines(list) {
		words := strings.Split(strings.TrimSpace(line), "\t")
		if words[0] != "installed" {
			continue
		}
		qualifiers := map[string]string{"arch": words[3], "distro": release}
		switch source, version := words[4], words[5]; {
		case version != words[2]:
			qualifiers["upstream"] = source + "@" + version
		case source != words[1]:
			qualifiers["upstream"] = source
		}
		purl := packageurl.NewPackageURL("deb", "debian", words[1], words[2], packageurl.QualifiersFromMap(qualifiers), "")
		packages = append(packages, words[1]+" "+words[2]+" "+purl.String())
	}
	slices.Sort(packages)
	return packages
}

// debianPURL returns a purl in its canonical form.
func debianPURL(t *testing.T, text string) string {
	t.Helper()
	purl, err := packageurl.FromString(text)
	if err != nil {
		t.Errorf("%q: %v", text, err)
	}
	return purl.String()
}

// spdxPackages returns the Debian packages of an SPDX document: name, version and purl.
func spdxPackages(t *testing.T, text []byte) (packages []string) {
	t.Helper()
	var document struct {
		Packages []struct {
			Name, VersionInfo string
			ExternalRefs      []struct{ ReferenceType, ReferenceLocator string }
		}
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	for _, p := range document.Packages {
		for _, reference := range p.ExternalRefs {
			if reference.ReferenceType == "purl" && strings.HasPrefix(reference.ReferenceLocator, "pkg:deb/") {
				packages = append(packages, p.Name+" "+p.VersionInfo+" "+debianPURL(t, reference.ReferenceLocator))
			}
		}
	}
	slices.Sort(packages)
	return packages
}
