package cli

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/compose"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
)

// composeOptions are for --format compose alone.
type composeOptions struct {
	images []string // KIND=REFERENCE
}

func (o *composeOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.images, "image", nil, "compose: use another image for a server, `KIND=REFERENCE`; KIND is the kind of a need, or router")
}

// hasRouter reports whether the router's image is given.
func (o composeOptions) hasRouter() bool {
	return slices.ContainsFunc(o.images, func(image string) bool { return strings.HasPrefix(image, compose.Router+"=") })
}

// renderCompose adds to the secrets that the output folder has.
func renderCompose(i *instance.Instance, o appOptions) ([]kit.File, error) {
	if o.output == "" {
		return nil, usageError{errors.New("compose needs --output DIR: it writes secrets into files that only you can read")}
	}
	images, err := o.compose.byKind()
	if err != nil {
		return nil, usageError{err}
	}
	secrets, err := os.ReadFile(filepath.Join(o.output, compose.SecretsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if images[compose.Router] == "" && o.caddy != nil {
		if images[compose.Router], err = compose.RouterImage(o.caddy); err != nil {
			return nil, err
		}
	}
	return compose.Files(i, compose.Options{Images: images, Secrets: secrets, Random: rand.Text})
}

func (o composeOptions) byKind() (map[string]string, error) {
	all := map[string]string{}
	for _, image := range o.images {
		kind, reference, given := strings.Cut(image, "=")
		if _, known := compose.DefaultImages[kind]; !given || !known || reference == "" {
			return nil, fmt.Errorf("--image %q, expected KIND=REFERENCE, and as KIND one of %s", image, strings.Join(slices.Sorted(maps.Keys(compose.DefaultImages)), ", "))
		}
		all[kind] = reference
	}
	return all, nil
}
