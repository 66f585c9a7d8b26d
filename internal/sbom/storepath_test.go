package sbom

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/nix"
)

// store returns a closure whose store paths are in a folder of the test.
func store(t testing.TB, contents map[string]map[string]string, root string, closure ...nix.PathInfo) *Document {
	t.Helper()
	d, err := FromClosure(subject("docs-hello-default"), closure, root)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range d.Components {
		dir := filepath.Join(t.TempDir(), filepath.Base(c.ID))
		for name, content := range contents[c.ID] {
			file := filepath.Join(dir, name)
			err := os.MkdirAll(filepath.Dir(file), 0o755)
			if target, link := strings.CutPrefix(content, "-> "); err == nil && link {
				err = os.Symlink(target, file)
			} else if err == nil {
				err = os.WriteFile(file, []byte(content), 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		d.Components[i].StorePath = dir
	}
	return d
}

// The findings in a store path only depend on the path, regardless of the rest of the image:
// the distribution in the root directory, the targets of links, and packages with the same name
// elsewhere.
func TestFromStorePaths(t *testing.T) {
	hello, web, lib := pathInfo("b", "hello-1.0"), pathInfo("c", "web"), pathInfo("f", "lib")
	jar := pathInfo("9", "empty.jar")
	hello.References, web.References = []string{lib.Path}, []string{hello.Path}
	root := pathInfo("d", "docs-hello-root", hello.Path, web.Path, jar.Path)
	wheel := func(name string) string {
		return "Metadata-Version: 2.1\nName: " + name + "\nVersion: 1.0\nRequires-Dist: shared\n"
	}
	contents := map[string]map[string]string{
		hello.Path: {
			"bin/hello": goProgram(t), "bin/again": "-> " + hello.Path + "/bin/hello",
			"lib/python3.13/site-packages/one-1.0.dist-info/METADATA": wheel("one"),
			"lib/python3.13/site-packages/two-1.0.dist-info":          "-> " + lib.Path + "/lib/python3.13/site-packages/two-1.0.dist-info",
		},
		lib.Path: {
			"lib/python3.13/site-packages/two-1.0.dist-info/METADATA":    wheel("two"),
			"lib/python3.13/site-packages/shared-1.0.dist-info/METADATA": wheel("shared"),
			"var/lib/dpkg/status":            dpkgStatus,
			"odd/manifest":                   `{"name": "renamed", "version": "1.0.0"}`,
			"node_modules/left/package.json": `{"name": "left", "version": "1.3.0"}`,
		},
		jar.Path: {"": "PK\x05\x06" + strings.Repeat("\x00", 18)}, // a file, not a folder
		web.Path: {
			"node_modules/left/package.json": `{"name": "left", "version": "1.3.0"}`,
			"renamed/package.json":           "-> " + lib.Path + "/odd/manifest",
		},
		root.Path: {
			"etc/os-release": "ID=debian\nVERSION_ID=12\n", "usr/bin/hello": "-> " + hello.Path + "/bin/hello",
			"var/lib/dpkg/status": dpkgStatus,
		},
	}
	t.Setenv("TMPDIR", t.TempDir())
	scan := scanner(t)
	read := func(image *Document) *Document {
		t.Helper()
		tools, err := scan.Tools(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		image.Tools = append(tools, Tool{"libre", "0.1.0"})
		found, err := scan.FromStorePaths(t.Context(), image, nil)
		if err != nil {
			t.Fatal(err)
		}
		d := Merge(image, found, nil)
		for i, c := range d.Components {
			if c.StorePath != "" {
				d.Components[i].StorePath = c.ID
			}
		}
		return d
	}
	image := store(t, contents, root.Path, hello, web, lib, jar, root)
	d := read(image)
	type found struct{ where, needs []string }
	got := map[string]found{}
	for _, c := range d.Components {
		if owner, id, ok := strings.Cut(c.ID, separator); ok && c.Type != "go-module" {
			got[strings.SplitN(filepath.Base(owner), "-", 2)[1]+" "+id] = found{c.Where, c.DependsOn}
		}
	}
	site := "/lib/python3.13/site-packages/"
	const curl, libc = "deb/debian/curl@7.88.1-10%2Bdeb12u12?arch=amd64&distro=debian-12", "deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12"
	const curlAlone, libcAlone = "deb:curl@7.88.1-10+deb12u12", "deb:libc6@2.36-9+deb12u13"
	want := map[string]found{
		"hello-1.0 pkg:pypi/one@1.0":  {where: []string{hello.Path + site + "one-1.0.dist-info/METADATA"}},
		"lib pkg:pypi/two@1.0":        {[]string{lib.Path + site + "two-1.0.dist-info/METADATA"}, []string{lib.Path + "#pkg:pypi/shared@1.0"}},
		"lib pkg:pypi/shared@1.0":     {where: []string{lib.Path + site + "shared-1.0.dist-info/METADATA"}},
		"lib pkg:npm/left@1.3.0":      {where: []string{lib.Path + "/node_modules/left/package.json"}},
		"web pkg:npm/left@1.3.0":      {where: []string{web.Path + "/node_modules/left/package.json"}},
		"lib " + curlAlone:            {[]string{lib.Path + "/var/lib/dpkg/status"}, []string{lib.Path + "#" + libcAlone}},
		"lib " + libcAlone:            {where: []string{lib.Path + "/var/lib/dpkg/status"}},
		"docs-hello-root pkg:" + curl: {[]string{"/var/lib/dpkg/status"}, []string{root.Path + "#pkg:" + libc}},
		"docs-hello-root pkg:" + libc: {where: []string{"/var/lib/dpkg/status"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(found{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	module := component(t, d, "github.com/Masterminds/semver/v3")
	if want := hello.Path + "/bin/hello"; !slices.Equal(module.Where, []string{want}) {
		t.Errorf("the module is in %v, want %s", module.Where, want)
	}
	main := component(t, d, "github.com/libresh/libre")
	if !slices.Contains(main.DependsOn, module.ID) {
		t.Errorf("the program depends on %v", main.DependsOn)
	}
	if path := component(t, d, "hello"); path.StorePath != hello.Path || !slices.Contains(path.DependsOn, main.ID) {
		t.Errorf("the store path: %+v", path)
	}
	for _, c := range d.Components {
		if c.Type == nixType && c.StorePath == "" {
			t.Errorf("a store path is there twice: %+v", c)
		}
	}
	cyclonedx, spdx := encode(t, d)
	scan = scanner(t)
	cyclonedx2, spdx2 := encode(t, read(image))
	if !bytes.Equal(cyclonedx, cyclonedx2) || !bytes.Equal(spdx, spdx2) {
		t.Error("reading it twice gives two documents")
	}
	validateStrictly(t, d)
	nothingLeft(t)
}
