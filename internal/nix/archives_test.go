package nix

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/testkit"
)

// anArchive describes an archive on a server: the tree inside, and how it is packed.
type anArchive struct {
	url    string // path on the server
	single bool   // the archive has a single file at its top, and no folder
	pack   func(t *testing.T, tree map[string]string) []byte
}

func tarOf(t *testing.T, tree map[string]string) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, name := range []string{"./", "top/", "top/README", "top/README", "top/bin/run", "top/link", "file"} {
		content, there := tree[name]
		if !there {
			continue
		}
		header := tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(content))}
		switch {
		case strings.HasSuffix(name, "/"):
			header.Typeflag, header.Mode = tar.TypeDir, 0o755
		case strings.HasPrefix(name, "top/bin"):
			header.Mode = 0o755
		case name == "top/link":
			header.Typeflag, header.Linkname, header.Size, content = tar.TypeSymlink, content, 0, ""
		}
		if err := w.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func zipOf(t *testing.T, tree map[string]string) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for name, content := range tree {
		header := zip.FileHeader{Name: name, Method: zip.Deflate}
		header.SetMode(0o644)
		switch {
		case name == "./" || strings.HasSuffix(name, "/"):
			continue
		case strings.HasPrefix(name, "top/bin"):
			header.SetMode(0o755)
		case name == "top/link":
			header.SetMode(os.ModeSymlink | 0o777)
			header.Method = zip.Store // busybox's unzip reads no other links
		}
		entry, err := w.CreateHeader(&header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := entry.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// compressed packs with a program of this machine.
func compressed(program string) func(*testing.T, map[string]string) []byte {
	return func(t *testing.T, tree map[string]string) []byte {
		t.Helper()
		testkit.Require(t, program)
		cmd := exec.Command(program, "-c")
		cmd.Stdin = bytes.NewReader(tarOf(t, tree))
		packed, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
}

var archives = map[string]anArchive{
	"suffix": {url: "/source.tar.gz", pack: compressed("gzip")},
	"gzip":   {url: "/gzip/download", pack: compressed("gzip")},
	"xz":     {url: "/xz", pack: compressed("xz")},
	"bzip":   {url: "/get?what=bzip2", pack: compressed("bzip2")},
	"plain":  {url: "/plain/", pack: tarOf},
	"zip":    {url: "/zip?file=a/b.tar.gz&x=1", pack: zipOf},
	"query":  {url: "/source.zip?token=1", pack: zipOf},
	"lies":   {url: "/version-1.0", pack: compressed("xz")},
	"single": {url: "/single", single: true, pack: compressed("gzip")},
	"zst":    {url: "/source.tar.zst", pack: compressed("zstd")},
}

// serveArchives starts a server with the archives, and returns each one's tree and SRI hash.
// The content is new each time, so that none of it is in the store.
func serveArchives(t *testing.T) (address string, trees, hashes map[string]string) {
	t.Helper()
	n := requireNix(t)
	trees, hashes = map[string]string{}, map[string]string{}
	packed := map[string][]byte{}
	for name, archive := range archives {
		text := fmt.Sprintf("%s %d\n", name, time.Now().UnixNano())
		tree := map[string]string{"./": "", "top/": "", "top/README": text, "top/bin/run": "#!/bin/sh\n", "top/link": "bin/run"}
		dir := t.TempDir()
		write := func(file string, mode os.FileMode, content string) {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), mode); err != nil {
				t.Fatal(err)
			}
		}
		if archive.single {
			tree = map[string]string{"file": text}
			write("file", 0o644, text)
		} else {
			write("README", 0o644, text)
			write("bin/run", 0o755, tree["top/bin/run"])
			if err := os.Symlink("bin/run", filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
		}
		trees[name], packed[archive.url] = dir, archive.pack(t, tree)
		hash, err := n.run(t.Context(), "hashing", call{program: "nix", operation: []string{"hash", "path"}, arguments: []string{dir}})
		if err != nil {
			t.Fatal(err)
		}
		hashes[name] = strings.TrimSpace(string(hash))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, there := packed[r.URL.RequestURI()]
		if !there {
			http.NotFound(w, r)
			return
		}
		w.Write(content)
	}))
	t.Cleanup(server.Close)
	return server.URL, trees, hashes
}

// nixpkgsShape makes the host package set look like nixpkgs: fetchzip needs a known suffix in
// the URL, and fetchurl can unpack.
const nixpkgsShape = `nixpkgs.legacyPackages = builtins.mapAttrs
    (_: pkgs: removeAttrs pkgs [ "fetchArchive" ] // rec {
      unzip = pkgs.busybox;
      zstd = pkgs.busybox;
      fetchzip = { url, hash, name }:
        if builtins.match ".*[.](tar|tgz|zip|tar[.].*)" (baseNameOf url) == null then throw "do not know how to unpack ${url}"
        else pkgs.fetchzip { inherit url hash name; };
      fetchurl = { url, hash, name, recursiveHash, downloadToTemp, nativeBuildInputs, postFetch }:
        assert recursiveHash && downloadToTemp;
        pkgs.runCommand name { inherit url nativeBuildInputs; outputHash = hash; outputHashMode = "recursive"; } ''
          downloadedFile="$TMPDIR/download"
          wget -q -O "$downloadedFile" "$url"
          ${postFetch}
        '';
    })
    nixpkgs.legacyPackages;`

// A source is unpacked according to its content, whatever suffix its URL has. The result is the
// same with both package sets.
func TestArchivesWithoutASuffix(t *testing.T) {
	for _, set := range []string{"host", "nixpkgs"} {
		t.Run(set, func(t *testing.T) {
			address, trees, hashes := serveArchives(t)
			catalogue := ""
			for name, archive := range archives {
				catalogue += fmt.Sprintf("-- apps/%[1]s/default.nix --\n{ mkApp, ... }: mkApp { name = %[1]q; version = \"1\"; packageVersion = 1;\n"+
					"source = { url = %[2]q; hash = %[3]q; }; components.c.containerfile = \"x\"; }\n"+
					"-- apps/%[1]s-archive/default.nix --\n{ mkApp, ... }: mkApp { name = \"%[1]s-archive\"; version = \"1\"; packageVersion = 1;\n"+
					"source = { github = \"o/r\"; tag = \"1\"; archive = %[2]q; hash = %[3]q; }; components.c.containerfile = \"x\"; }\n",
					name, address+archive.url, hashes[name])
			}
			dir := writeCatalogue(t, catalogue)
			if set == "nixpkgs" {
				flake := strings.Replace(flakeNix, "inherit nixpkgs;", nixpkgsShape, 1)
				if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte(flake), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			evaluation, err := evaluateAll(t, dir, HostPackageName)
			if err != nil || len(evaluation.Failures) > 0 {
				t.Fatal(err, evaluation.Failures)
			}
			var specs []*catalog.Spec
			for _, spec := range evaluation.Images {
				if spec.Variant == "default" {
					specs = append(specs, spec)
				}
			}
			err = requireNix(t).FetchSources(context.Background(), specs, func(spec *catalog.Spec, source string, err error) error {
				name := strings.TrimSuffix(spec.App, "-archive")
				if set == "nixpkgs" && name == "zst" {
					return nil // busybox has no zstd; TestUnpackArchive tests it
				}
				if err != nil {
					t.Errorf("%s: %v", spec.App, err)
				} else if out, err := exec.Command("diff", "-r", source, trees[name]).CombinedOutput(); err != nil {
					t.Errorf("%s: %s", spec.App, out)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The script that nixpkgs' fetchurl runs works with GNU's tools, which nixpkgs has.
func TestUnpackArchive(t *testing.T) {
	testkit.Require(t, "bash", "tar", "gzip", "xz", "zstd", "bzip2", "unzip", "od")
	n := requireNix(t)
	address, _, hashes := serveArchives(t)
	for name, archive := range archives {
		tmp := t.TempDir()
		file, out := filepath.Join(tmp, "download"), filepath.Join(tmp, "out")
		response, err := http.Get(address + archive.url)
		if err != nil {
			t.Fatal(err)
		}
		var content bytes.Buffer
		_, err = content.ReadFrom(response.Body)
		response.Body.Close()
		if err == nil {
			err = os.WriteFile(file, content.Bytes(), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "-euo", "pipefail", repositoryFile(t, "nix/unpack-archive.sh"))
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "downloadedFile="+file, "out="+out)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, said)
			continue
		}
		hash, err := n.run(t.Context(), "hashing", call{program: "nix", operation: []string{"hash", "path"}, arguments: []string{out}})
		if err != nil || strings.TrimSpace(string(hash)) != hashes[name] {
			t.Errorf("%s has the hash %s, %v, expected %s", name, hash, err, hashes[name])
		}
	}
	for name, content := range map[string][]byte{"two": tarOf(t, map[string]string{"top/README": "x", "file": "y"}), "none": []byte("<html>")} {
		tmp := t.TempDir()
		file := filepath.Join(tmp, "download")
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "-euo", "pipefail", repositoryFile(t, "nix/unpack-archive.sh"))
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "downloadedFile="+file, "out="+filepath.Join(tmp, "out"))
		if err := cmd.Run(); err == nil {
			t.Errorf("%s was unpacked", name)
		}
	}
}

// Unpacking stops at a limit inside Nix builds too: in the script that nixpkgs' fetchurl runs,
// and in the program of the host package set.
func TestUnpackStopsAtTheLimit(t *testing.T) {
	testkit.Require(t, "bash", "tar", "gzip", "xz", "zstd", "bzip2", "unzip", "od", "go")
	const limit = 1 << 20
	large := map[string]string{"top/README": strings.Repeat("\x00", 32<<20)}
	many := map[string]string{"top/README": strings.Repeat("\x00", 700<<10), "top/bin/run": strings.Repeat("\x00", 700<<10)}
	hole := filepath.Join(t.TempDir(), "top")
	if out, err := exec.Command("sh", "-euc", `mkdir "$1" && truncate -s 64M "$1/hole" && cd "$1/.." && tar --format=posix -cSf sparse.tar top`, "sh", hole).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sparse, err := os.ReadFile(filepath.Join(filepath.Dir(hole), "sparse.tar"))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "fetch")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = repositoryFile(t, "nix/hostpkgs/fetch")
	build.Env = append(os.Environ(), "GO111MODULE=off", "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for what, content := range map[string][]byte{
		"gzip, one large file":  compressed("gzip")(t, large),
		"xz, one large file":    compressed("xz")(t, large),
		"bzip2, two files":      compressed("bzip2")(t, many),
		"zstd, two files":       compressed("zstd")(t, many),
		"zip, one large file":   zipOf(t, large),
		"zip, two files":        zipOf(t, many),
		"a tar with a hole":     sparse,
		"a tar as large as one": tarOf(t, large),
	} {
		tmp := t.TempDir()
		file, out := filepath.Join(tmp, "download"), filepath.Join(tmp, "out")
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		script := exec.Command("bash", "-euo", "pipefail", repositoryFile(t, "nix/unpack-archive.sh"))
		served := httptest.NewServer(http.FileServer(http.Dir(tmp)))
		fetch := exec.Command(program, "-unpack", served.URL+"/download", filepath.Join(tmp, "fetched"))
		for by, cmd := range map[string]*exec.Cmd{"the script": script, "the program": fetch} {
			if by == "the program" && strings.HasPrefix(what, "zstd") {
				continue // Go's internal reader of zstd is added only when Nix builds it
			}
			cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "downloadedFile="+file, "out="+out, "NIX_LIBRE_ARCHIVE_LIMIT="+fmt.Sprint(limit))
			said, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(said), "larger than the limit of 1048576 bytes") {
				t.Errorf("%s, %s: %v\n%s", what, by, err, said)
			}
		}
		served.Close()
		if out, err := exec.Command("du", "-sk", tmp).Output(); err != nil {
			t.Error(err)
		} else if kB, _ := strconv.Atoi(strings.Fields(string(out))[0]); kB > len(content)>>10+2*limit>>10+200 {
			t.Errorf("%s: %d kB were written", what, kB)
		}
	}
}
