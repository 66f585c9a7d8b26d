package sbom

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/libresh/libre/internal/testkit"
)

const isc = `Copyright (c) 2026 The Authors

Permission to use, copy, modify, and/or distribute this software for any
purpose with or without fee is hereby granted, provided that the above
copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES
WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR
ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF
OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
`

// mentions is the address of CC0. A text that contains it says that a work is in the public
// domain.
const mentions = "https://creativecommons.org/publicdomain/zero/1.0/\n"

// The licence of a vendored module comes from the texts at its root.
func TestModuleLicenses(t *testing.T) {
	vendor := t.TempDir()
	for name, text := range map[string]string{
		"modules.txt": `# example.org/plain v1.0.0
## explicit; go 1.24
example.org/plain
# example.org/two v1.0.0
example.org/two/sub
# example.org/old v1.0.0 => example.org/fork v1.0.1
# example.org/local v1.0.0 => ../local
# example.org/unneeded v1.0.0
# example.org/odd v1.0.0
# example.org/none v1.0.0
# example.org/documented v1.0.0
# example.org/more v1.0.0
# example.org/plain => ../elsewhere
#
`,
		"example.org/plain/LICENSE":           isc,
		"example.org/two/LICENSE-ISC":         isc,
		"example.org/two/COPYING.CC0":         mentions,
		"example.org/two/sub/LICENSE":         "deeper texts do not count",
		"example.org/old/License.txt":         isc,
		"example.org/local/LICENSE.md":        isc,
		"example.org/odd/LICENSE":             "Do what you want, on Tuesdays.\n",
		"example.org/none/none.go":            "package none\n",
		"example.org/documented/LICENSE":      isc,
		"example.org/documented/LICENSE.docs": mentions,
		"example.org/more/LICENSE":            isc + strings.Repeat("and some words of the authors about something else\n", 8),
	} {
		file := filepath.Join(vendor, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(vendor, "example.org/none/LICENSE")); err != nil {
		t.Fatal(err)
	}
	s := scanner(t)
	got, err := s.ModuleLicenses(context.Background(), vendor)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"example.org/plain": "ISC", "example.org/two": "CC0-1.0 AND ISC", "example.org/old": "ISC", "example.org/fork": "ISC",
		"example.org/local": "ISC", "../local": "ISC", "example.org/documented": "ISC", "example.org/more": "ISC", "../elsewhere": "ISC",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, without := range []string{t.TempDir(), filepath.Join(vendor, "absent"), filepath.Join(vendor, "example.org/plain")} {
		if got, err := s.ModuleLicenses(context.Background(), without); err != nil || len(got) > 0 {
			t.Errorf("%s: %v, %v", without, got, err)
		}
	}
}

// A store path has the SHA-512 of its NAR, as nix-store dumps it. A package in it has the
// SHA-512 of its file.
func TestFilesAreHashed(t *testing.T) {
	testkit.Require(t, "nix-store")
	folder, single := pathInfo("b", "web"), pathInfo("c", "single.conf")
	d := store(t, map[string]map[string]string{
		folder.Path: {"node_modules/left/package.json": `{"name": "left", "version": "1.3.0", "license": "(MIT OR Apache-2.0)", "homepage": "https://left.example"}`, "link": "-> /x", "empty/.keep": ""},
	}, "", folder, single)
	for i, c := range d.Components {
		if c.ID == single.Path {
			d.Components[i].StorePath = filepath.Join(t.TempDir(), "single.conf")
			if err := os.WriteFile(d.Components[i].StorePath, []byte("x"), 0o444); err != nil {
				t.Fatal(err)
			}
		}
	}
	found, err := scanner(t).FromStorePaths(context.Background(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range d.Components {
		dump, err := exec.Command("nix-store", "--dump", c.StorePath).Output()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha512.Sum512(dump)
		file := found[c.ID].File
		isFolder := c.ID == folder.Path
		if file.SHA512 != hex.EncodeToString(sum[:]) || file.Archive != isFolder || file.Executable != isFolder || file.Name != filepath.Base(c.StorePath) {
			t.Errorf("%s is %+v", c.ID, file)
		}
	}
	left := found[folder.Path].Components
	if len(left) != 1 || left[0].Name != "left" || left[0].License != (License{Expression: "MIT OR Apache-2.0"}) && left[0].License != (License{Expression: "(MIT OR Apache-2.0)"}) ||
		left[0].Creator != "https://left.example" || left[0].File.Name != "package.json" || len(left[0].File.SHA512) != 128 {
		t.Errorf("found %+v", left)
	}
}
