package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/bump"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/newapp"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/ui"
)

type newOptions struct {
	request newapp.Request
	stdout  bool
	json    bool
}

func (e *env) newCommand() *cobra.Command {
	var o newOptions
	cmd := &cobra.Command{
		Use:   "new NAME --from URL|FOLDER",
		Short: "Write the first definition of an app",
		Long: `Look at an app's source, and write a first definition: apps/NAME/default.nix.
libre never overwrites an app.

The source is the newest release of a repository, or the tag that the URL of a
page names; a checkout, which stands for its remote origin; or a folder of the
catalogue. --go-module takes a program from the Go module proxy.

libre builds a Go program by Nix, else Containerfiles, else a program of
Node.js, Python, Rust or PHP by nixpkgs' builder for its lock file. Without any
of these, it takes the images of the Compose file as they are. --containerfile
names what to build instead, and can be repeated. --image reads the
configuration of an image. Without a source, the app is that image, unchanged.

Licence, description and home page also come from the source. libre guesses what
the app needs, and its settings, from Compose files, Helm charts and examples of
.env files. The definition marks these guesses.

libre finds all hashes, and pins bases by digest. It prints what it found, what
it guessed, and what you should look at.

The output has one line per file.`,
		Example: `  libre new docs --from https://github.com/suitenumerique/docs
  libre new docs --from https://github.com/suitenumerique/docs/tree/v4.0.0
  libre new hey --go-module github.com/rakyll/hey
  libre new notes --from apps/notes/src --stdout
  libre new web --image docker.io/library/nginx:1.29`,
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.request.Name = args[0]
			return e.runNew(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.request.From, "from", "", "the source: the `URL` of a repository, or a folder")
	flags.StringVar(&o.request.GoModule, "go-module", "", "the source: the Go module `PATH`")
	flags.StringArrayVar(&o.request.Containerfiles, "containerfile", nil, "build `FILE` of the source; can be repeated")
	flags.StringVar(&o.request.Image, "image", "", "start from the configuration of the image `REFERENCE`")
	flags.BoolVar(&o.stdout, "stdout", false, "print the definition, and write nothing")
	flags.BoolVar(&o.json, "json", false, "print the result as JSON")
	cmd.MarkFlagsMutuallyExclusive("from", "go-module")
	cmd.MarkFlagsMutuallyExclusive("stdout", "json")
	cmd.AddCommand(e.newVariantCommand())
	return cmd
}

func (e *env) runNew(ctx context.Context, o newOptions) error {
	wrote, definition, err := e.writeNew(ctx, o)
	if err != nil {
		return err
	}
	switch {
	case o.stdout:
		return e.Printf("%s", definition)
	case o.json:
		err = e.JSON(wrote)
	default:
		for _, name := range wrote.Files {
			err = errors.Join(err, e.Printf("%s\n", name))
		}
	}
	e.Notef("next: read it, then libre build %s", o.request.Name)
	return err
}

// writeNew writes an app, or with --stdout only makes its definition. It prints notes.
func (e *env) writeNew(ctx context.Context, o newOptions) (wrote newJSON, definition string, err error) {
	if r := o.request; r.From+r.GoModule+r.Image == "" {
		return wrote, "", usageError{errors.New("give the source of the app: --from URL, --go-module PATH or --image REFERENCE")}
	}
	ws, err := e.workspace()
	if err != nil {
		return wrote, "", err
	}
	file := filepath.Join("apps", o.request.Name, "default.nix")
	if _, err := os.Lstat(filepath.Join(ws.dir, file)); !errors.Is(err, fs.ErrNotExist) && !o.stdout {
		return wrote, "", &fault.Fault{Err: fmt.Errorf("%s exists already", file), Fix: "choose another name, or remove it"}
	}
	made, result, err := e.makeApp(ctx, ws, o)
	if err != nil {
		return wrote, "", err
	}
	if ws.packageSet == nix.HostPackageName && made.NeedsNixpkgs {
		made.LookAt = append(made.LookAt, "the host package set has no builder for it: it was not built, use --package-set nixpkgs")
	}
	e.noteMade(made, result)
	wrote = newJSON{o.request.Name, slices.Sorted(maps.Keys(result.After)), made.Found, made.Guessed, made.LookAt, result.Warnings}
	return wrote, string(result.After[file]), nil
}

// newJSON is the result of `new --json`.
type newJSON struct {
	App      string   `json:"app"`
	Files    []string `json:"files"`
	Found    []string `json:"found"`   // what the source says, a line each
	Guessed  []string `json:"guessed"` // what may be wrong, a line each
	LookAt   []string `json:"lookAt"`  // what to look at, a line each
	Warnings []string `json:"warnings"`
}

// makeApp makes a definition, finds its hashes, and writes it.
func (e *env) makeApp(ctx context.Context, ws *workspace, o newOptions) (*newapp.Made, *bump.Result, error) {
	bumper, err := ws.bumper()
	if err != nil {
		return nil, nil, err
	}
	progress := e.Progress()
	defer progress.Close()
	bumper.Progress = func(app, doing string) { progress.Set(app, ui.State{Phase: ui.Hashing, Message: doing}) }
	maker := &newapp.Maker{
		Upstream: bumper.Upstream, Dir: ws.dir, Getenv: os.Getenv, Now: time.Now(), Image: ws.readImage,
		Progress: func(doing string) { progress.Set(o.request.Name, ui.State{Phase: ui.Looking, Message: doing}) },
	}
	made, err := maker.Make(ctx, o.request)
	if err != nil {
		return nil, nil, err
	}
	result, err := bumper.Create(ctx, o.request.Name, made.Files)
	if err != nil || o.stdout {
		return made, result, err
	}
	write, err := e.bumpWriter(ctx, ws, bumpOptions{}, bumper, progress)
	if err != nil {
		return nil, nil, err
	}
	_, err = write.result(ctx, result)
	return made, result, err
}

// noteMade prints what was found, guessed, and what to look at.
func (e *env) noteMade(made *newapp.Made, result *bump.Result) {
	e.Notef("%s %s, from %s", result.App, result.From, made.From)
	for _, part := range []struct {
		title string
		lines []string
	}{{"found", made.Found}, {"guess", made.Guessed}, {"look at", made.LookAt}} {
		for _, line := range part.lines {
			e.Notef("%s: %s", part.title, line)
		}
	}
	for _, warning := range result.Warnings {
		e.Warnf("%s", warning)
	}
}

// mostImageConfig is the largest configuration of an image that is read, in bytes.
const mostImageConfig = 4 << 20

// readImage reads the configuration of an image for this machine's architecture, or the first
// that there is.
func (ws *workspace) readImage(ctx context.Context, reference string) (*newapp.Image, error) {
	client := registry.NewReader(ws.clientOptions(false))
	parsed, err := client.Parse(reference)
	if err != nil {
		return nil, err
	}
	manifest, err := client.Get(ctx, parsed)
	if err == nil && manifest.MediaType.IsIndex() {
		manifest, err = firstImage(ctx, client, parsed.Context(), manifest)
	}
	if err != nil {
		return nil, err
	}
	var image v1.Manifest
	if err := json.Unmarshal(manifest.Content, &image); err != nil {
		return nil, fmt.Errorf("reading %s: %w", reference, err)
	}
	content, err := client.Blob(ctx, parsed, image.Config, mostImageConfig)
	if err != nil {
		return nil, err
	}
	var config v1.ConfigFile
	if err := json.Unmarshal(content, &config); err != nil {
		return nil, fmt.Errorf("reading the configuration of %s: %w", reference, err)
	}
	return &newapp.Image{Reference: reference, Config: config.Config}, nil
}

// firstImage is the first image of an index that is for Linux.
func firstImage(ctx context.Context, client *registry.Client, repository name.Repository, index *registry.Manifest) (*registry.Manifest, error) {
	var all v1.IndexManifest
	if err := json.Unmarshal(index.Content, &all); err != nil {
		return nil, err
	}
	for _, one := range all.Manifests {
		if one.Platform != nil && one.Platform.OS == "linux" {
			return client.Get(ctx, repository.Digest(one.Digest.String()))
		}
	}
	return nil, errors.New("the index has no image for Linux")
}
