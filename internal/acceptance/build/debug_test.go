package build

import (
	"archive/tar"
	"bytes"
	"path"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/testkit"
)

const toolsDir = "/opt/libre/bin"

// shells lists programs that run shell scripts.
var shells = []string{"sh", "ash", "bash", "dash", "rbash", "ksh", "mksh", "zsh", "csh", "tcsh", "fish", "hush", "busybox", "toybox"}

func TestProductionImagesHaveNoShell(t *testing.T) {
	t.Parallel()
	c := demo(t)
	for _, reference := range references(t, c.dist(), "default", "lyon") {
		files := readTree(t, openImage(t, c.dist(), reference, "linux/"+runtime.GOARCH))
		for name, file := range files {
			if slices.Contains(shells, path.Base(name)) {
				t.Errorf("%s has %s", reference, name)
			}
			if slices.Contains(shells, path.Base(file.Linkname)) {
				t.Errorf("%s has a link %s to %s", reference, name, file.Linkname)
			}
			// the text at the start of busybox's help
			if bytes.Contains(file.content, []byte("BusyBox v")) {
				t.Errorf("%s has busybox in %s", reference, name)
			}
		}
	}
}

// A debug image is the default one with a layer of tools: they include a shell, in PATH,
// for the image's own user.
func TestDebugImageIsTheDefaultOneWithTools(t *testing.T) {
	t.Parallel()
	c := demo(t)
	for _, reference := range references(t, c.dist(), "debug") {
		t.Run(reference, func(t *testing.T) {
			debug := openImage(t, c.dist(), reference, "linux/"+runtime.GOARCH)
			production := openImage(t, c.dist(), strings.Replace(reference, "-debug:", "-default:", 1), "linux/"+runtime.GOARCH)
			shared, all := layerDigests(t, production), layerDigests(t, debug)
			if len(all) != len(shared)+1 || !slices.Equal(all[:len(shared)], shared) {
				t.Errorf("layers %v, want one more than %v", all, shared)
			}
			before, after := configOf(t, production).Config, configOf(t, debug).Config
			if !slices.Equal(before.Entrypoint, after.Entrypoint) || !slices.Equal(before.Cmd, after.Cmd) || before.User != after.User {
				t.Errorf("%+v starts otherwise than %+v", after, before)
			}
			if search := environment(configOf(t, debug), "PATH"); !strings.HasSuffix(search, ":"+toolsDir) {
				t.Errorf("PATH %s does not end with %s", search, toolsDir)
			}
			k := runContainer(t, c, reference, changes{args: []string{"sh", "-c", `echo "$0 $(id -u)"`}, readOnly: true})
			if got := k.wait(t); got != "sh 1000\n" {
				t.Errorf("the shell prints %q", got)
			}
		})
	}
}

// A debug image gives a shell in a running container.
func TestDebugImageGivesAShellInARunningContainer(t *testing.T) {
	t.Parallel()
	c := demo(t)
	k := runContainer(t, c, "guestbook-frontend-debug:1.0.0-1", changes{env: []string{"PORT=8080"}})
	err := testkit.Eventually(func() error {
		_, _, err := get(k.client(), "http://127.0.0.1:8080/healthz")
		if err != nil && k.Running() != nil {
			return k.Running()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := k.exec(t, toolsDir+"/sh", "-c", "echo ok; wget -q -O - http://127.0.0.1:8080/healthz"); got != "ok\nok\n" {
		t.Errorf("the shell prints %q", got)
	}
	k.stop(t)
}

// The tools work on a base whose /bin is a link to usr/bin, as in most distributions, and
// remove nothing.
func TestDebugToolsKeepALinkedBin(t *testing.T) {
	t.Parallel()
	testkit.Require(t, "buildah")
	c := newCatalogue(t, map[string]string{
		"merged/default.nix": `{ mkApp, pkgs, ... }:
mkApp {
  name = "merged"; version = "1"; packageVersion = 1;
  source.path = ./src;
  components.program.package = pkgs.runCommand "program" { } ''
    mkdir -p $out/bin
    cp ${pkgs.busybox}/bin/busybox $out/bin/echo
  '';
  components.base.containerfile = "base.Containerfile";
  components.web = {
    containerfile = "web.Containerfile";
    bases = { distribution = "merged/base"; program = "merged/program"; };
    user = "1000:1000";
  };
}
`,
		"merged/src/root/bin":          "-> usr/bin",
		"merged/src/root/usr/bin/note": "merged\n",
		"merged/src/base.Containerfile": `FROM scratch
COPY root/ /
`,
		"merged/src/web.Containerfile": `FROM distribution
COPY --from=program /app/bin/echo /usr/bin/echo
USER 1000:1000
ENTRYPOINT ["/bin/echo"]
CMD ["served"]
`,
	})
	c.libre(t, "build", "merged/web")
	debug := openImage(t, c.dist(), "merged-web-debug:1-1", "")
	layers, err := debug.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range layerNames(t, layers[len(layers)-1]) {
		if !strings.HasPrefix(name, "/nix") && !strings.HasPrefix(name, "/opt") {
			t.Errorf("the layer of tools has an entry %s", name)
		}
	}
	for _, reference := range references(t, c.dist()) {
		if !strings.HasPrefix(reference, "merged-web-") {
			continue // the dependencies of the tools are there, too
		}
		files := readTree(t, openImage(t, c.dist(), reference, ""))
		if bin := files["/bin"]; bin == nil || bin.Typeflag != tar.TypeSymlink || bin.Linkname != "usr/bin" {
			t.Errorf("%s: /bin is %+v, want a link to usr/bin", reference, bin)
		}
		k := runContainer(t, c, reference, changes{})
		if got := k.wait(t); got != "served\n" {
			t.Errorf("%s prints %q", reference, got)
		}
	}
	k := runContainer(t, c, "merged-web-debug:1-1", changes{args: []string{toolsDir + "/sh", "-c", "/bin/echo ok; cat /bin/note /usr/bin/note"}})
	if got := k.wait(t); got != "ok\nmerged\nmerged\n" {
		t.Errorf("the shell prints %q", got)
	}
}

func layerDigests(t *testing.T, img v1.Image) []string {
	t.Helper()
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var digests []string
	for _, layer := range manifest.Layers {
		digests = append(digests, layer.Digest.String())
	}
	return digests
}

func layerNames(t *testing.T, layer v1.Layer) []string {
	t.Helper()
	stream, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var names []string
	r := tar.NewReader(stream)
	for header, err := r.Next(); err == nil; header, err = r.Next() {
		names = append(names, path.Clean("/"+header.Name))
	}
	return names
}
