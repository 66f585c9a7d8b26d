package nix

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	attestation "github.com/in-toto/attestation/go/v1"
)

const revision = "7fc6f2c20af09cdcaf48b92ec3121860139ec668"

// lockOf writes a flake.lock with the given nodes, which include the inputs of root.
func lockOf(t *testing.T, dir string, nodes ...string) {
	t.Helper()
	lock := fmt.Sprintf(`{"nodes":{%s},"root":"root","version":7}`, strings.Join(nodes, ","))
	if err := os.WriteFile(filepath.Join(dir, "flake.lock"), []byte(lock), 0o644); err != nil {
		t.Fatal(err)
	}
}

// told returns what Inputs lists, one a line, and checks it by in-toto's rules.
func told(t *testing.T, c *Catalogue) string {
	t.Helper()
	inputs, err := c.Inputs(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, input := range inputs {
		descriptor := &attestation.ResourceDescriptor{Name: input.Name, Uri: input.URI, Digest: input.Digest}
		if err := descriptor.Validate(); err != nil || input.URI == "" && len(input.Digest) == 0 {
			t.Errorf("%+v is no resource descriptor: %v", input, err)
		}
		lines = append(lines, fmt.Sprintf("%s|%s|%s|%s", input.Name, input.URI, input.Digest["gitCommit"], input.Digest["narHash"]))
	}
	return strings.Join(lines, "\n")
}

func TestInputsNameRevisionAndHash(t *testing.T) {
	for _, test := range []struct{ locked, uri, commit string }{
		{`"type":"github","owner":"NixOS","repo":"nixpkgs","rev":"` + revision + `"`, "git+https://github.com/NixOS/nixpkgs@" + revision, revision},
		{`"type":"github","host":"git.example.org","owner":"a","repo":"b","rev":"` + revision + `"`, "git+https://git.example.org/a/b@" + revision, revision},
		{`"type":"gitlab","owner":"group%2Fsub","repo":"b","rev":"` + revision + `"`, "git+https://gitlab.com/group/sub/b@" + revision, revision},
		{`"type":"sourcehut","owner":"~ada","repo":"b","rev":"` + revision + `"`, "git+https://git.sr.ht/~ada/b@" + revision, revision},
		{`"type":"git","url":"ssh://git@example.org/a/b.git?token=x","rev":"` + revision + `"`, "git+ssh://example.org/a/b.git@" + revision, revision},
		{`"type":"git","url":"https://ada:secret@example.org/b.git","rev":"` + revision + `"`, "git+https://example.org/b.git@" + revision, revision},
		{`"type":"git","url":"file:///home/ada/b","rev":"` + revision + `"`, "", revision},
		{`"type":"hg","url":"https://example.org/b","rev":"` + revision + `"`, "hg+https://example.org/b@" + revision, ""},
		{`"type":"tarball","url":"https://example.org/a.tar.gz?private_token=x"`, "https://example.org/a.tar.gz", ""},
		{`"type":"tarball","url":"https://example.org/pinned/a.tar.gz","rev":"` + revision + `"`, "https://example.org/pinned/a.tar.gz", revision},
		{`"type":"file","url":"https://example.org/a.json"`, "https://example.org/a.json", ""},
		{`"type":"path","path":"/home/ada/nixpkgs"`, "", ""},
		{`"type":"path","path":"/nix/store/5hvhiff9lnjwh4p7kd1csmlkcqxzqd6m-source"`, "file:///nix/store/5hvhiff9lnjwh4p7kd1csmlkcqxzqd6m-source", ""},
	} {
		dir := t.TempDir()
		lockOf(t, dir, `"root":{"inputs":{"nixpkgs":"n"}}`, `"n":{"locked":{"narHash":"sha256-x=","lastModified":1,`+test.locked+`}}`)
		got := told(t, &Catalogue{flake: Flake{Dir: dir}})
		if want := fmt.Sprintf("flake input nixpkgs|%s|%s|sha256-x=", test.uri, test.commit); got != want {
			t.Errorf("%s\n%s\nexpected\n%s", test.locked, got, want)
		}
	}
}

func TestOnlyUsedInputsAreListed(t *testing.T) {
	dir := t.TempDir()
	lockOf(t, dir,
		`"root":{"inputs":{"libre":"libre","nixpkgs":"nixpkgs","tools":"tools","same":"tools_2","part":"part"}}`,
		// libre is replaced, and an input that only libre needs is not used.
		`"libre":{"inputs":{"nixpkgs":["nixpkgs"],"old":"old"},"locked":{"type":"path","path":"/x","narHash":"sha256-libre="}}`,
		`"old":{"locked":{"type":"path","path":"/x","narHash":"sha256-old="}}`,
		`"nixpkgs":{"locked":{"type":"github","owner":"NixOS","repo":"nixpkgs","rev":"`+revision+`","narHash":"sha256-n="}}`,
		`"tools":{"inputs":{"nixpkgs":["nixpkgs"],"again":"tools_2"},"locked":{"type":"path","path":"/x","narHash":"sha256-tools="}}`,
		`"tools_2":{"locked":{"type":"path","path":"/x","narHash":"sha256-same="}}`,
		`"part":{"locked":{"type":"path","path":"./part"}}`)
	c := &Catalogue{flake: Flake{Dir: dir, Overrides: []Override{{"libre", StoreSource{"/nix/store/5hvhiff9lnjwh4p7kd1csmlkcqxzqd6m-source", "sha256-a+b/c="}.FlakeRef()}}}}
	const want = "flake input nixpkgs|git+https://github.com/NixOS/nixpkgs@" + revision + "|" + revision + "|sha256-n=\n" +
		"flake input same|||sha256-same=\n" +
		"flake input tools|||sha256-tools=\n" +
		"flake input libre|file:///nix/store/5hvhiff9lnjwh4p7kd1csmlkcqxzqd6m-source||sha256-a+b/c="
	if got := told(t, c); got != want {
		t.Errorf("%s\nexpected\n%s", got, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "flake.lock"), []byte("<<<<<<<"), 0o644); err != nil {
		t.Fatal(err)
	}
	if inputs, err := c.Inputs(context.Background()); err == nil {
		t.Errorf("of a broken lock file: %v", inputs)
	}
}

// The parts of the host package set are listed if this run replaces nixpkgs with it, and if
// flake.lock contains it.
func TestInputsNameThePartsOfTheHostPackageSet(t *testing.T) {
	n := requireNix(t)
	parts, err := FindHostParts(context.Background())
	if err != nil {
		t.Skip(err)
	}
	dir := writeCatalogue(t, one(server))
	replaced, err := n.OpenCatalogue(context.Background(), dir, HostPackageName)
	if err != nil {
		t.Fatal(err)
	}
	host, err := replaced.host.source(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	locked := &Catalogue{nix: n, flake: Flake{Dir: t.TempDir()}}
	lockOf(t, locked.flake.Dir, `"root":{"inputs":{"nixpkgs":"n"}}`, fmt.Sprintf(`"n":{"locked":{"type":"path","path":%q,"narHash":%q}}`, host.Path, host.NarHash))
	for name, c := range map[string]*Catalogue{"replaced": replaced, "locked": locked} {
		got := told(t, c)
		for _, want := range []string{
			"flake input nixpkgs|file://" + host.Path + "||" + host.NarHash,
			"host package go|pkg:generic/go@" + parts.GoVer + "||sha256-",
			"host package busybox|pkg:generic/busybox@" + parts.BoxVer + "||sha256-",
			"host package ca-certificates|||sha256-",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %s in\n%s", name, want, got)
			}
		}
		if strings.Contains(got, "github.com/NixOS") {
			t.Errorf("%s: names a nixpkgs that is not used:\n%s", name, got)
		}
	}
}
