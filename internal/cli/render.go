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
	words  []string // a selection or a reference
	kit    kitOptions
	app    appOptions
	crds   bool
	output string // folder; "" is stdout
	json   bool
}

const renderHelp = `Write the objects that run an app, or configuration for the tools that follow
and verify images.

--host writes what runs an app under a host name: an app of the catalogue, such
as docs or docs/*/lyon, or a published release, REGISTRY/APP-VARIANT:TAG, whose
signature is verified: give --key, or --identity with --issuer. Images are
pinned by digest, so those of the catalogue must be built. --set sets what the
app's config describes, --with uses what is optional; see libre show APP -o
yaml. Kubernetes objects contain no secrets: they name the Secrets that must
exist.

--format plain, the default, writes Kubernetes objects that need no operator:
workloads, Services, volumes, an Ingress (or an HTTPRoute for --gateway),
policies for the network, and in folders of their own the jobs that are applied
before an upgrade and at the first installation. Name the version that runs by
--upgrade-from: render leaves out jobs that the upgrade does not need, and
refuses an upgrade that the app does not allow. secrets.yaml lists the Secrets
that must exist. If an Ingress cannot express a route, such as a sticky one, a
Caddy passes requests on: the one of the catalogue, or the one of the same
registry, or --router.

--needs cnpg also writes the databases of PostgreSQL, for CloudNativePG, and
--needs cloudpirates the values of CloudPirates' charts for PostgreSQL, MariaDB,
Valkey and MinIO, in DIR/helm. Other needs have Secrets that must exist.

--format operator writes custom resources for operators: one for the app, of a
kind such as Docs, and one for each need, such as Postgres or Bucket, with the
Secret that its provider fills. --crds writes their definitions, of the selected
apps (default: all), or of the published release REFERENCE.

--format compose writes compose.yaml for podman compose and docker compose, for
one machine: with a router that gets its own certificate, and servers for the
needs, for trying. --image postgres=REFERENCE chooses another image for one of
them. Secrets are made once, in DIR/secrets.env, which only you can read.

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
--output writes the files into a folder instead.`

func (e *env) renderCommand() *cobra.Command {
	var o renderOptions
	cmd := &cobra.Command{
		Use:     "render APP | REFERENCE --host HOST, or [SELECTION...] --crds | --renovate | --flux | --cosign-policy | --policy",
		Short:   "Write what runs an app, or configuration for other tools",
		Long:    renderHelp,
		Example: "  libre render docs --host docs.example.org --output docs\n  libre render registry.example/lasuite/docs-default:5.4.1-1 --key cosign.pub --host docs.example.org\n  libre render --renovate --output presets\n  libre render docs --flux | kubectl apply -n flux-system -f -\n  libre render --cosign-policy=kyverno --key cosign.pub --output policies",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.words, o.app.given, o.app.output = args, o.app.changed(cmd), o.output
			return e.runRender(cmd.Context(), o)
		},
		ValidArgsFunction: e.completeSelection,
	}
	o.app.addFlags(cmd)
	o.kit.addFlags(cmd)
	o.addRegistryFlags(cmd)
	cmd.Flags().BoolVar(&o.crds, "crds", false, "write the CustomResourceDefinitions for --format operator")
	cmd.Flags().StringVar(&o.output, "output", "", "write the files into `DIR` (default: to stdout)")
	cmd.Flags().BoolVar(&o.json, "json", false, "with --output: print the list of files as JSON")
	return cmd
}

// addRegistryFlags adds the flags for registries, which the app and the tools share.
func (o *renderOptions) addRegistryFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	o.app.registry.addReferenceFlags(cmd, "reference")
	flags.Lookup("key").Usage = "the public key in `FILE` that verifies the images (default: sign in libre.yaml)"
	flags.StringArrayVar(&o.app.registry.to, "to", nil, "the `REGISTRY`[/NAMESPACE] of the images (default: registry in libre.yaml)")
}

func (e *env) runRender(ctx context.Context, o renderOptions) error {
	if o.json && o.output == "" {
		return usageError{errors.New("--json lists the files that --output writes: give --output DIR too")}
	}
	files, err := e.render(ctx, o)
	if err != nil {
		return err
	}
	return e.writeRendered(o, files)
}

func (e *env) render(ctx context.Context, o renderOptions) ([]kit.File, error) {
	registry := o.app.registry
	switch {
	case o.app.given && o.kit.given():
		return nil, usageError{errors.New("--host and what runs an app, and files for other tools: give one of them")}
	case o.crds && (o.app.given || o.kit.given()):
		return nil, usageError{errors.New("--crds, and what runs an app or files for other tools: give one of them")}
	case o.crds:
		return e.renderCRDs(ctx, o.app, o.words)
	case o.app.given:
		return e.renderApp(ctx, o.app, o.words)
	case !o.kit.given():
		return nil, usageError{errors.New("nothing to render: give APP --host HOST, or --crds, --renovate, --flux, --cosign-policy or --policy")}
	case registry.signer.given() || registry.insecure:
		return nil, usageError{errors.New("--identity, --issuer and --insecure are for a reference with --host: files for other tools are written for sign in libre.yaml, or --key")}
	}
	o.kit.registry = registryOptions{to: registry.to, key: registry.key}
	return e.renderKit(ctx, o.kit, o.words)
}

// writeRendered writes files into the output folder and prints their paths. Without a folder,
// it prints them as one stream.
func (e *env) writeRendered(o renderOptions, files []kit.File) error {
	if o.output == "" {
		return e.Printf("%s", kit.Stream(files))
	}
	list := []renderedJSON{}
	for _, file := range files {
		path := filepath.Join(o.output, filepath.FromSlash(file.Name))
		folder, mode := os.FileMode(0o755), os.FileMode(0o644)
		if file.Private {
			folder, mode = 0o700, 0o600
		}
		if err := os.MkdirAll(filepath.Dir(path), folder); err != nil {
			return err
		}
		if err := atomicfile.Write(path, file.Content, mode); err != nil {
			return err
		}
		list = append(list, renderedJSON{path, file.Private})
		if o.json {
			continue
		}
		if err := e.Printf("%s\n", path); err != nil {
			return err
		}
	}
	if o.json {
		return e.JSON(list)
	}
	return nil
}

// renderedJSON is one file of `render --json`.
type renderedJSON struct {
	File    string `json:"file"`    // path, with the folder of --output
	Private bool   `json:"private"` // it contains secrets, and only you can read it
}
