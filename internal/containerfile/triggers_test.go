package containerfile

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// withConfig returns an image for this machine with a shell, and with a changed configuration.
func withConfig(t *testing.T, change func(*v1.Config)) v1.ImageIndex {
	t.Helper()
	idx := busyboxIndex(t)
	m, err := idx.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := idx.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	cf, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cf = cf.DeepCopy()
	change(&cf.Config)
	if img, err = mutate.ConfigFile(img, cf); err != nil {
		t.Fatal(err)
	}
	return single(img)
}

// The triggers of bases run, and do not become triggers of the image; SHELL and
// HEALTHCHECK are inherited.
func TestTriggersOfABase(t *testing.T) {
	triggered := func(name string) v1.ImageIndex {
		return withConfig(t, func(c *v1.Config) {
			c.OnBuild = []string{"RUN echo $- > /" + name, "COPY sub/f /" + name + "-f", "ENV BY=" + name, "USER 7"}
			c.Shell = []string{"/bin/sh", "-euc"}
			c.Healthcheck = &v1.HealthConfig{Test: []string{"CMD-SHELL", "true"}}
		})
	}
	dist := catalogueLayout(t, "base-default:1-1", triggered("catalogue"))
	withEngines(t, func(t *testing.T, e Engine) {
		host := newRegistry(t)
		at, err := url.Parse(host.URL)
		if err != nil {
			t.Fatal(err)
		}
		name := at.Host + "/triggers:1"
		push(t, name, triggered("registry"))
		req := request(t, write(t, map[string]string{
			"Containerfile": "FROM " + name + " AS one\nFROM base:1\nCOPY --from=one /registry* /\nCMD serve\n",
			"sub/f":         "f",
		}), map[string]Origin{"base:1": {Layout: dist, Ref: "base-default:1-1"}})
		res, err := NewBuilder(e, newStorage(t, e)).Build(t.Context(), req)
		if err != nil {
			t.Fatal(describe(err))
		}
		img, cf := built(t, res)
		compareFiles(t, img, map[string]string{
			"/catalogue": "644 0 uce\n", "/catalogue-f": "644 0 f", "/registry": "644 0 uce\n", "/registry-f": "644 0 f",
		})
		want := v1.Config{
			Env: []string{"PATH=/bin", "PLATFORM=" + machinePlatform(), "BY=catalogue"}, User: "7", Cmd: []string{"/bin/sh", "-euc", "serve"},
			Shell: []string{"/bin/sh", "-euc"}, Healthcheck: &v1.HealthConfig{Test: []string{"CMD-SHELL", "true"}},
		}
		config := cf.DeepCopy().Config
		config.ArgsEscaped = false
		if diff := cmp.Diff(want, config); diff != "" {
			t.Error(diff)
		}
	})
}

// Unsupported triggers of a base are reported with a line and a fix.
func TestUnsupportedTriggersAreRefused(t *testing.T) {
	for trigger, want := range map[string]string{
		"COPY --parents a/b /":       "its ONBUILD COPY --parents a/b /: buildah 1.28.2 does not support COPY --parents: use buildah 1.40, podman 5.5, docker 29.1 or newer; or write a COPY for each folder",
		"copy --link a /":            "its ONBUILD copy --link a /: buildah 1.28.2 does not support ONBUILD COPY --link, ONBUILD ADD --link of a base: use buildah 1.41, podman 5.6, docker 23.0 or newer; or take a base without it",
		"ADD --link a /":             "its ONBUILD ADD --link a /: buildah 1.28.2 does not support ONBUILD COPY --link, ONBUILD ADD --link of a base: use buildah 1.41, podman 5.6, docker 23.0 or newer; or take a base without it",
		"RUN --network=host make":    "its ONBUILD RUN --network=host make: libre does not allow RUN --network=host: remove it: steps have a network, but never this machine's own",
		"COPY --chmod=0644 a /":      "",
		"nothing that is known here": "",
	} {
		err := checkTriggerFeatures(Engine{Name: "buildah", Version: "1.28.2"}, []string{"USER 7", trigger})
		if got := errorText(err); got != want {
			t.Errorf("%s: got %s, want %s", trigger, got, want)
		}
	}
}
