package build

import (
	"archive/tar"
	"runtime"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/testkit"
)

// Declared paths may be within the package's tree, written in several ways, or paths that
// libre makes. The program still starts, and each path is as declared.
func TestDeclaredPathsWork(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"paths/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "paths"; version = "1"; packageVersion = 1;
  components.web = {
    package = pkgs.runCommand "web" { } ''
      mkdir -p $out/bin $out/data $out/config/site $out/.hidden
      cp ${pkgs.busybox}/bin/busybox $out/bin/sh
      cp ${pkgs.busybox}/bin/busybox $out/bin/cat
      echo seed > $out/data/seed
      echo packaged > $out/config/site/kept
      echo packaged > $out/config/site/replaced
      ln -s config/site $out/site
      echo x > $out/.hidden/x
    '';
    server = pkgs.runCommand "server" { } "mkdir -p $out/bin; cp ${pkgs.busybox}/bin/busybox $out/bin/sh";
    entrypoint = [ "/app/bin/sh" "-c" ];
    volumes = [ "/app/data" "/app/var/new/" "/server//cache" "/tmp" "/var//lib/./x" "/it's \"$HOME\"" ];
    directories."/var/lib/x/" = { mode = "0700"; };
    directories."/etc" = { mode = "0711"; };
    files."/app/config/site/replaced".text = "declared\n";
    files."/app/config/added".text = "added\n";
    files."/app/site/also".text = "also\n";
    files."//etc/passwd".text = "me:x:1000:1000::/:/\n";
    files."/var/lib/x/kept".text = "kept\n";
  };
}
`})
	c.libre(t, "build", "paths/web/default")
	k := runContainer(t, c, "paths-web-default:1-1", changes{command: []string{`set -e
for folder in /app/data /app/var/new /server/cache /tmp /var/lib/x "/it's \"\$HOME\""; do echo written > "$folder/file"; done
cat /app/data/seed /app/config/site/kept /app/config/site/replaced /app/config/added /app/site/kept /app/site/also /app/.hidden/x /etc/passwd /var/lib/x/kept
/server/bin/sh -c 'echo served'`}})
	if got, want := k.wait(t), "seed\npackaged\ndeclared\nadded\npackaged\nalso\nx\nme:x:1000:1000::/:/\nkept\nserved\n"; got != want {
		t.Errorf("it prints %q\nexpected  %q", got, want)
	}
	img := openImage(t, c.dist(), "paths-web-default:1-1", "linux/"+runtime.GOARCH)
	files := readTree(t, img)
	for name, want := range map[string]struct {
		mode     int64
		uid, gid int
	}{
		"/app": {0o755, 0, 0}, "/app/data": {0o755, 1000, 1000}, "/app/var": {0o755, 0, 0}, "/app/var/new": {0o755, 1000, 1000},
		"/server/cache": {0o755, 1000, 1000}, "/tmp": {0o1777, 1000, 1000}, "/var/lib/x": {0o700, 1000, 1000}, "/etc": {0o711, 0, 0},
	} {
		file := files[name]
		if file == nil || file.Typeflag != tar.TypeDir || file.Mode != want.mode || file.Uid != want.uid || file.Gid != want.gid {
			t.Errorf("%s is %+v, expected a folder with %+v", name, file, want)
		}
	}
	var volumes []string
	for volume := range configOf(t, img).Config.Volumes {
		volumes = append(volumes, volume)
	}
	if len(volumes) != 6 || strings.Contains(strings.Join(volumes, " "), "//") {
		t.Errorf("volumes %q", volumes)
	}
}

// If a package has a path of another type than declared, the error is one line.
func TestDeclaredPathOfAnotherKindIsOneLine(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t, map[string]string{"clash/default.nix": `{ mkApp, pkgs, ... }:
let package = pkgs.runCommand "web" { } "mkdir -p $out/bin $out/share; echo x > $out/bin/web"; in
mkApp {
  name = "clash"; version = "1"; packageVersion = 1;
  components.volume = { inherit package; volumes = [ "/app/bin/web" ]; };
  components.below = { inherit package; directories."/app/bin/web/x" = { }; };
  components.file = { inherit package; files."/app/share".text = ""; };
  components.single = { package = pkgs.writeText "x" "x"; volumes = [ "/app/x" ]; };
}
`})
	_, stderr, err := testkit.Output(c.command("build", "clash/*/default"))
	if err == nil {
		t.Fatal("the images were built")
	}
	for _, want := range []string{
		"clash: component volume: the package has a file /app/bin/web, where a folder is declared",
		"clash: component below: the package has a file /app/bin/web, where a folder is declared",
		"clash: component file: the package has a folder /app/share, where a file is declared",
		"clash: component single: the package has a file /app, where a folder is declared",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, stderr)
		}
	}
}

// A file whose name has a special meaning in layers is refused by name, in every kind of layer.
func TestNamesOfLayersAreRefused(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "buildah")
	c := newCatalogue(t, map[string]string{
		"names/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "names"; version = "1"; packageVersion = 1;
  source.path = ./src;
  components.site = { package = { source, ... }: pkgs.runCommand "site" { } "cp -r ${source} $out"; server = pkgs.runCommand "server" { } "mkdir -p $out/bin"; };
  components.copied.containerfile = "Containerfile";
  components.empty.containerfile = "Empty";
}
`,
		"names/src/Containerfile":           "FROM scratch\nCOPY sub /sub\n",
		"names/src/Empty":                   "FROM scratch\nCOPY empty /sub\n",
		"names/src/empty/sub/.wh.lost.html": "",
		"names/src/sub/.wh.lost.html":       "<p>\n",
		"names/src/sub/lost.html":           "<p>\n",
	})
	for _, component := range []string{"site", "copied", "empty"} {
		_, stderr, err := testkit.Output(c.command("build", "names/"+component+"/default"))
		if err == nil || !strings.Contains(stderr, "sub/.wh.lost.html") || !strings.Contains(stderr, `a name that begins with ".wh." marks a deleted file`) {
			t.Errorf("%s: %v\n%s", component, err, stderr)
		}
	}
}
