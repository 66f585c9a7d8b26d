package nix

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/catalog"
)

// Every declared path either works as intended, or causes one line of error at evaluation,
// whatever else is declared and whatever libre makes itself.
func TestDeclaredPaths(t *testing.T) {
	tests := []struct {
		component string // attributes of a component of the kind nix, or of a Containerfile
		want      string // part of the only problem; "" if there is none
	}{
		// Different spellings.
		{`volumes = [ "/data" "/var//lib/./x/" "/data/" ];`, ""},
		{`volumes = [ "/données/日本/😀" "/with space" "/a'b\"c$d\\e" "/-x" ];`, ""},
		{`volumes = [ "data" ];`, `volumes "data" is relative, expected an absolute path like "/data"`},
		{`directories."./var/x" = { };`, `directories "./var/x" is relative, expected an absolute path like "/var/x"`},
		{`files."etc/x".text = "";`, `files "etc/x" is relative, expected an absolute path like "/etc/x"`},
		{`volumes = [ "" ];`, `volumes "" is relative, expected an absolute path like "/data"`},
		{`volumes = [ "/var/../data" ];`, `volumes "/var/../data" has "..", write "/data"`},
		{`files."/../../etc/x".text = "";`, `files "/../../etc/x" has "..", write "/etc/x"`},
		{`volumes = [ "/..x" "/x.." "/..." ];`, ""},
		{`volumes = [ "/" ];`, `volumes "/" is the whole image`},
		{`directories."//." = { };`, `directories "//." is the whole image`},
		{`volumes = [ "/a\nb" ];`, `volumes "/a\nb" has a control character`},
		{`files."/a\tb".text = "";`, `files "/a\tb" has a control character`},
		{`volumes = [ (builtins.fromJSON "\"/a\\u007fb\"") ];`, `has a control character`},
		{`volumes = [ (builtins.substring 0 2 "/é") ];`, `a path of volumes is not UTF-8`},
		{`directories.${"/x/" + builtins.substring 1 2 "日"} = { };`, `a path of directories is not UTF-8`},
		{`volumes = [ "/${long 255}" ];`, ""},
		{`volumes = [ "/${long 256}" ];`, `has a name of more than 255 bytes`},
		{`volumes = [ "/${builtins.concatStringsSep "/" (builtins.genList (_: long 100) 25)}" ];`, `is a path of 2525 bytes, expected at most 2048`},
		{`volumes = [ "/${long 1000000}" ];`, `expected at most 2048`},

		// Names with a special meaning in layers.
		{`files."/etc/.wh.x".text = "";`, `files "/etc/.wh.x" has a name that begins with ".wh."`},
		{`directories."/.wh..wh..opq" = { };`, `has a name that begins with ".wh."`},
		{`volumes = [ "/data/.wh./x" ];`, `has a name that begins with ".wh."`},
		{`volumes = [ "/data/.whx" "/data/x.wh.y" ];`, ""},

		// Packages.
		{`volumes = [ "/app/data" ]; directories."/app/var/cache" = { }; files."/app/config/x".text = "";`, ""},
		{`volumes = [ "/app" ];`, `volumes "/app" is the package itself`},
		{`directories."/app/" = { mode = "0700"; };`, `directories "/app/" is the package itself`},
		{`files."/app".text = "";`, `files "/app" is the package itself`},
		{`volumes = [ "/server/data" "/server" ];`, ""},
		{`server = 1; volumes = [ "/server/data" ];`, ""},
		{`server = 1; volumes = [ "/server" ];`, `volumes "/server" is the package itself`},
		{`volumes = [ "/application" "/app2/x" ];`, ""},

		// Files that libre makes.
		{`files."/etc/passwd".text = ""; files."/etc/ssl/certs/ca-certificates.crt".text = ""; files."/etc/hosts".text = "";`, ""},
		{`directories."/etc" = { }; directories."/etc/ssl/certs" = { }; volumes = [ "/etc/app" "/etc/ssl/private" ];`, ""},
		{`volumes = [ "/etc" ];`, `volumes "/etc" would hide /etc/passwd`},
		{`volumes = [ "/etc/ssl/" ];`, `would hide /etc/ssl/certs/ca-certificates.crt`},
		{`volumes = [ "/etc/pki/tls/certs" ];`, `would hide /etc/pki/tls/certs/ca-bundle.crt`},
		{`volumes = [ "/etc/passwd" ];`, `volumes "/etc/passwd" cannot be: /etc/passwd is a file`},
		{`directories."/etc/group/x" = { };`, `directories "/etc/group/x" cannot be: /etc/group is a file`},
		{`files."/etc/nsswitch.conf/x".text = "";`, `cannot be: /etc/nsswitch.conf is a file`},
		{`directories."/etc/resolv.conf" = { };`, `cannot be: /etc/resolv.conf is a file`},
		{`files."/etc".text = "";`, `files "/etc" cannot be a file: it is a folder of the image`},
		{`files."/etc/ssl/certs".text = "";`, `cannot be a file`},
		{`volumes = [ "/tmp" "/tmp/cache" ]; directories."/tmp" = { }; files."/tmp/x".text = "";`, ""},
		{`files."/tmp/".text = "";`, `files "/tmp/" cannot be a file`},
		{`volumes = [ "/nix" ];`, `volumes "/nix" is reserved for the Nix store`},
		{`files."/nix/store/x".text = "";`, `is reserved for the Nix store`},
		{`directories."/nix/var" = { };`, `is reserved for the Nix store`},
		{`volumes = [ "/nixos" "/opt" "/opt/other" "/opt/libreoffice" ];`, ""},
		{`volumes = [ "/opt/libre/bin/x" ];`, `is reserved for the tools of debug images`},
		{`files."/opt".text = "";`, `files "/opt" cannot be a file`},
		{`volumes = [ "/proc/x" ];`, `is hidden by a file system of the kernel`},
		{`files."/sys/x".text = "";`, `is hidden by a file system of the kernel`},
		{`directories."/dev/x" = { };`, `is hidden by a file system of the kernel`},
		{`volumes = [ "/dev/shm" "/process" "/system" ];`, ""},

		// Declared paths that overlap.
		{`volumes = [ "/data" ]; directories."/data" = { mode = "0700"; };`, ""},
		{`volumes = [ "/data" "/data/sub" ]; files."/data/x".text = ""; directories."/data/dir" = { };`, ""},
		{`directories = { "/var/x" = { }; "/var/x/" = { }; };`, `directories "/var/x" and directories "/var/x/" are the same path: keep one`},
		{`files = { "/x".text = "1"; "//x".text = "2"; };`, `are the same path: keep one`},
		{`volumes = [ "/data/" ]; files."/data".text = "";`, `volumes "/data/" is a folder, and files "/data" a file of the same path`},
		{`directories."/x" = { }; files."/x".text = "";`, `directories "/x" is a folder, and files "/x" a file of the same path`},
		{`volumes = [ "/x/y/z" ]; files."/x".text = "";`, `volumes "/x/y/z" is below the file files "/x"`},
		{`files = { "/x".text = ""; "/x/y".text = ""; };`, `files "/x/y" is below the file files "/x"`},
		{`files = { "/x".text = ""; "/xy".text = ""; "/x.y".text = ""; };`, ""},
		{`files."/data/x".text = ""; workingDir = "/data/x";`, `workingDir "/data/x" is not a folder: files "/data/x" is a file`},

		// The folder of the program, and its working directory.
		{`workingDir = "/"; entrypoint = [ "./bin/web" ];`, ""},
		{`workingDir = "/app//bin/"; entrypoint = [ "/bin/../x" ];`, ""},
		{`workingDir = "/app/../data";`, `workingDir "/app/../data" has "..", write "/data"`},
		{`workingDir = "/" + builtins.substring 0 1 "é";`, `workingDir is not UTF-8`},
		{`workingDir = "/${long 256}";`, `has a name of more than 255 bytes`},
		{`entrypoint = [ "" ];`, `entrypoint begins with "", expected a program like "bin/web"`},
		{`entrypoint = [ "bin/../../data/x" "y" ];`, `entrypoint "bin/../../data/x" leads out of the package, write "/data/x"`},
		{`containerfile = 1; entrypoint = [ "" ];`, `entrypoint begins with ""`},
		{`containerfile = 1; entrypoint = [ "../x" ]; workingDir = "/x/..";`, `workingDir "/x/.." has "..", write "/"`},
		{`files."/x" = { text = ""; source = 1; };`, `files "/x" has both text and source, expected one of them`},

		// A Containerfile's volumes are configuration: its own paths are not known here.
		{`containerfile = 1; volumes = [ "/app" "/etc" "/nix" "/var//x/" ];`, ""},
		{`containerfile = 1; volumes = [ "data" ];`, `volumes "data" is relative`},
		{`containerfile = 1; volumes = [ "/a/../b" ];`, `has "..", write "/b"`},
		{`containerfile = 1; volumes = [ "/proc" ];`, `is hidden by a file system of the kernel`},
		{`containerfile = 1; volumes = [ "/opt/libre" ];`, `is reserved for the tools of debug images`},
	}
	var expression strings.Builder
	expression.WriteString("let paths = import " + repositoryFile(t, "nix/paths.nix") + "; ")
	expression.WriteString(`long = n: builtins.concatStringsSep "" (builtins.genList (_: "x") n); `)
	expression.WriteString(`problems = c: paths.problems "one: component web" ((if c ? containerfile then { } else { package = 1; }) // c); in [ `)
	for _, test := range tests {
		expression.WriteString("(problems { " + test.component + " }) ")
	}
	var got [][]string
	evaluate(t, expression.String()+"]", &got)
	for i, test := range tests {
		problems := strings.Join(got[i], "\n")
		if test.want == "" && problems != "" || test.want != "" && (!strings.Contains(problems, test.want) || strings.Contains(problems, "\n")) {
			t.Errorf("%s\n%s\nexpected %q", shorten(test.component), shorten(problems), test.want)
		}
		if test.want != "" && !strings.HasPrefix(problems, "one: component web: ") {
			t.Errorf("%s\n%s\nsays not where", shorten(test.component), shorten(problems))
		}
	}
}

func TestCleanPaths(t *testing.T) {
	var got []any
	evaluate(t, "let paths = import "+repositoryFile(t, "nix/paths.nix")+`; in [
		(map paths.clean [ "/var//x/" "/./var/./x" "/var/x" "///" ])
		(paths.volumes { volumes = [ "/b" "/a/" "/b/" "/a" ]; })
		(paths.parents "/a/b/c")
		(paths.parents "/a")
	]`, &got)
	text, err := json.Marshal(got)
	if want := `[["/var/x","/var/x","/var/x","/"],["/b","/a"],["/a","/a/b"],[]]`; err != nil || string(text) != want {
		t.Errorf("%s, expected %s", text, want)
	}
}

// evaluate returns the value of a Nix expression.
func evaluate(t *testing.T, expression string, result any) {
	t.Helper()
	out, err := requireNix(t).run(t.Context(), "evaluating", call{program: "nix", operation: []string{"eval"}, flags: []string{"--impure", "--json", "--expr", expression}})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, result); err != nil {
		t.Fatal(err)
	}
}

// repositoryFile returns the absolute path of a file of this repository.
func repositoryFile(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func shorten(text string) string {
	if len(text) > 300 {
		return text[:300] + "…"
	}
	return text
}

// A source that was fetched before is found without the package set that fetched it.
func TestSourcesInStore(t *testing.T) {
	n := requireNix(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	there, err := n.AddSource(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if path, err := SourcePath(there.NarHash); err != nil || path != there.Path {
		t.Errorf("SourcePath gives %s, %v; the store has %s", path, err, there.Path)
	}
	if _, err := SourcePath("sha512-AAAA"); err == nil {
		t.Error("the path of a sha512 is given")
	}
	identity := func(source string, changes ...string) *catalog.Spec {
		text, err := json.Marshal(map[string]any{"source": source, "changes": append([]string{}, changes...)})
		if err != nil {
			t.Fatal(err)
		}
		return &catalog.Spec{Content: &catalog.ContainerfileImage{Source: text}}
	}
	const other = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	fetched, path, changed, gone := identity(there.NarHash), identity(there.Path), identity(there.NarHash, "x"), identity(other)
	known := identity(other, "x")
	known.Containerfile().Fetch = &catalog.Derivation{Out: there.Path}
	sources, err := n.SourcesInStore(t.Context(), []*catalog.Spec{fetched, path, changed, gone, known, {Content: &catalog.ContainerfileImage{}}})
	if err != nil || len(sources) != 3 || sources[fetched] != there.Path || sources[path] != there.Path || sources[known] != there.Path {
		t.Errorf("%v, %v", sources, err)
	}
}
