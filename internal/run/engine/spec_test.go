package engine

import (
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// As in Kubernetes, an entrypoint of its own drops the image's command.
func TestFirstProcessOfAContainer(t *testing.T) {
	image := v1.Config{Entrypoint: []string{"/bin/web"}, Cmd: []string{"serve"}}
	for _, c := range []struct {
		container Container
		image     v1.Config
		want      []string
	}{
		{Container{}, image, []string{"/bin/web", "serve"}},
		{Container{Command: []string{"migrate"}}, image, []string{"/bin/web", "migrate"}},
		{Container{Entrypoint: []string{"sh"}}, image, []string{"sh"}},
		{Container{Entrypoint: []string{"sh"}, Command: []string{"-c"}}, image, []string{"sh", "-c"}},
		{Container{}, v1.Config{Cmd: []string{"sh"}}, []string{"sh"}},
	} {
		if got, err := c.container.args(c.image); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, %v, want %q", c.container, got, err, c.want)
		}
	}
	_, err := Container{Name: "web", Image: Image{Name: "files-web-default:1-1"}}.args(v1.Config{})
	if want := "web has nothing to run: files-web-default:1-1 has no entrypoint and no command, set one of them in its definition"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
