package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/kit"
)

type renderOptions struct {
	selection []string
	kit       kitOptions
	output    string // folder; "" is stdout
}

func (e *env) renderCommand() *cobra.Command {
	var o renderOptions
	cmd := &cobra.Command{
		Use:   "render [SELECTION...] --renovate | --flux | --cosign-policy | --policy",
		Short: "Write configuration for the tools that follow and verify images",
		Long: `Write configuration for other tools, for the registries of libre.yaml.

--renovate writes two presets for Renovate: libre follows new app versions and
package versions, libre-repack follows package versions only.

--flux writes an ImageRepository and an ImagePolicy for each image of the
selection (default: all), which follow the newest tag.

--cosign-policy writes an ImageValidatingPolicy for Kyverno and a
ClusterImagePolicy for sigstore's policy-controller, or one of the two. A
cluster with it runs only images that are signed as sign in libre.yaml says.

--policy writes policy.json and a file for registries.d, with which skopeo,
podman, buildah and CRI-O pull only images that are signed.

The last two need signatures that these tools can verify. If they cannot, the
exit code is 1, and the error says why, and what to set.

render prints a YAML stream; each document begins with the name of its file.
--output writes the files into a folder instead.`,
		Example: "  libre render --renovate --output presets\n  libre render docs --flux | kubectl apply -n flux-system -f -\n  libre render --cosign-policy=kyverno --key cosign.pub --output policies",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selection = args
			return e.runRender(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.kit.addFlags(cmd)
	cmd.Flags().StringVar(&o.output, "output", "", "write the files into `DIR` (default: to stdout)")
	return cmd
}

func (e *env) runRender(ctx context.Context, o renderOptions) error {
	if !o.kit.given() {
		return usageError{errors.New("nothing to render: give --renovate, --flux, --cosign-policy or --policy")}
	}
	files, err := e.renderKit(ctx, o.kit, o.selection)
	if err != nil {
		return err
	}
	return e.writeRendered(o.output, files)
}

// writeRendered writes files into a folder, and prints their paths, or prints them as one
// stream.
func (e *env) writeRendered(dir string, files []kit.File) error {
	if dir == "" {
		return e.Printf("%s", kit.Stream(files))
	}
	for _, file := range files {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := atomicfile.Write(path, file.Content, 0o644); err != nil {
			return err
		}
		if err := e.Printf("%s\n", path); err != nil {
			return err
		}
	}
	return nil
}
