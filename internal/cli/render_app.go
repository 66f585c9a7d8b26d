package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/router"
	"github.com/libresh/libre/internal/withdrawn"
)

// appOptions say which app render writes, how it is run, and in which format.
type appOptions struct {
	given     bool // one of the flags is
	format    string
	namespace string
	name      string // of the instance
	host      string
	set       []string // NAME=VALUE
	values    string   // file
	with      []string
	registry  registryOptions
	output    string // folder; "" is stdout
	plain     plainOptions
	compose   composeOptions

	router string                // reference of a release of Caddy; "" for the catalogue's
	caddy  *describe.Application // the router; nil if the routes need none
}

// renderFormats write what runs an instance, each in its own way.
var renderFormats = map[string]func(*instance.Instance, appOptions) ([]kit.File, error){
	"compose":  renderCompose,
	"operator": renderOperator,
	"plain":    renderPlain,
}

// appFlags are the flags for what runs an app.
var appFlags = []string{"host", "name", "namespace", "set", "values", "with", "format", "router", "upgrade-from", "ingress-namespace", "gateway", "needs", "image"}

func (o *appOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.host, "host", "", "the DNS `NAME` of the app: write what runs it")
	flags.StringVar(&o.format, "format", "plain", "write the app as `FORMAT`: "+strings.Join(slices.Sorted(maps.Keys(renderFormats)), ", "))
	flags.StringVar(&o.name, "name", "", "the `NAME` of the instance, and prefix of its objects (default: the app's)")
	flags.StringVar(&o.namespace, "namespace", "", "the `NAMESPACE` of the objects (default: none, so that kubectl chooses it)")
	flags.StringArrayVar(&o.set, "set", nil, "set one of the app's settings: `NAME=VALUE`")
	flags.StringVar(&o.values, "values", "", "settings in `FILE`, a YAML map of names and values; --set takes precedence")
	flags.StringSliceVar(&o.with, "with", nil, "use `NAME`, an optional need or service of the app")
	flags.StringVar(&o.router, "router", "", "the release `REFERENCE` of Caddy for routes that an Ingress cannot say (default: caddy of the catalogue)")
	o.plain.addFlags(cmd)
	o.compose.addFlags(cmd)
}

// changed reports whether one of the flags is given.
func (o *appOptions) changed(cmd *cobra.Command) bool {
	return slices.ContainsFunc(appFlags, cmd.Flags().Changed)
}

// renderApp renders what runs an app of the catalogue, or a published one.
func (e *env) renderApp(ctx context.Context, o appOptions, words []string) ([]kit.File, error) {
	render, known := renderFormats[o.format]
	if !known {
		return nil, usageError{fmt.Errorf("--format %q, expected %s", o.format, strings.Join(slices.Sorted(maps.Keys(renderFormats)), ", "))}
	}
	if err := o.fit(); err != nil {
		return nil, usageError{err}
	}
	settings, err := o.settings()
	if err != nil {
		return nil, usageError{err}
	}
	app, err := e.application(ctx, o, words)
	if err != nil {
		return nil, err
	}
	i, err := instance.New(app, instance.Options{Name: o.name, Host: o.host, Settings: settings, With: o.with})
	if err != nil {
		return nil, usageError{err}
	}
	if o.format != "operator" && len(router.Reasons(app.Spec.Routes)) > 0 && !o.compose.hasRouter() {
		if o.caddy, err = e.routerApplication(ctx, o, words); err != nil {
			return nil, err
		}
	}
	files, err := render(i, o)
	if err == nil && o.format == "plain" && o.output != "" {
		e.warnOfOldJobs(o.output, files)
	}
	return files, err
}

// fit returns an error if there are flags of another format.
func (o appOptions) fit() error {
	switch {
	case o.format != "plain" && o.plain != (plainOptions{}):
		return errors.New("--upgrade-from, --ingress-namespace, --gateway and --needs are for --format plain")
	case o.format != "compose" && len(o.compose.images) > 0:
		return errors.New("--image is for --format compose")
	case o.format == "compose" && o.namespace != "":
		return errors.New("--namespace is for --format plain and operator")
	case o.format == "operator" && o.router != "":
		return errors.New("--router is for --format plain and compose")
	}
	return nil
}

// application reads the document of the one app and variant that is selected.
func (e *env) application(ctx context.Context, o appOptions, words []string) (*describe.Application, error) {
	if len(words) == 1 && isRepository(words[0]) {
		return nil, noTag(words[0])
	}
	if len(words) == 1 && isReference(words[0]) {
		return e.publishedApplication(ctx, o.registry, words[0])
	}
	document, ws, err := e.catalogueApplication(ctx, "render", words)
	if err != nil {
		return nil, err
	}
	if err := ws.refuseWithdrawn(document); err != nil {
		return nil, err
	}
	client, err := ws.registry(o.registry)
	if err != nil {
		return nil, err
	}
	document.Spec.Registry = client.String()
	return document, nil
}

// refuseWithdrawn returns an error if withdrawn.yaml has the release that a document describes.
func (ws *workspace) refuseWithdrawn(document *describe.Application) error {
	list, err := withdrawn.Load(ws.dir)
	if err != nil {
		return err
	}
	app, tag := document.Metadata.Name, catalog.Tag(document.Spec.Version, document.Spec.PackageVersion)
	if said := list.Find(app, tag); said != nil {
		return state.Refused(said, catalog.Ref{Repository: app + "-" + document.Spec.Variant, Tag: tag})
	}
	return nil
}

// catalogueApplication reads the document of the one app and variant of the catalogue that is
// selected for a command, with the digests of images that are built.
func (e *env) catalogueApplication(ctx context.Context, command string, words []string) (*describe.Application, *workspace, error) {
	ws, patterns, err := e.selected(ctx, command, words, false)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range patterns {
		if p.Component != "*" {
			return nil, nil, usageError{fmt.Errorf("%s takes all of an app, and %s/%s is a component: give %[2]s, or %[2]s/*/VARIANT", command, p.App, p.Component)}
		}
	}
	defer e.warnLeftOut(ctx, ws)()
	reader, err := e.layoutReader(ctx, ws, "")
	if err != nil {
		return nil, nil, err
	}
	documents, evaluation, err := reader.Documents(ctx, patterns)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		return nil, nil, evaluation.Failures[name]
	}
	if _, err := catalog.SelectImages(patterns, evaluation.Apps); err != nil {
		return nil, nil, err
	}
	if len(documents) != 1 {
		return nil, nil, usageError{fmt.Errorf("%s takes one app and variant, and %d are selected: select one, such as docs or docs/*/lyon", command, len(documents))}
	}
	return documents[0], ws, nil
}

// publishedApplication reads and verifies the document of a published release. It needs no
// catalogue.
func (e *env) publishedApplication(ctx context.Context, o registryOptions, word string) (*describe.Application, error) {
	if len(o.to) > 0 {
		return nil, usageError{errors.New("--to is for apps of the catalogue: a reference names its registry")}
	}
	_, client, signing, err := e.verifier(ctx, o, word)
	if err != nil {
		return nil, err
	}
	reference, err := client.Parse(word)
	if err != nil {
		return nil, err
	}
	record, as, err := state.FindRecord(ctx, client, signing, reference)
	if err != nil {
		return nil, err
	}
	if err := record.Withdrawn(); err != nil {
		return nil, err
	}
	e.Notef("signed as %s", as)
	return record.Document()
}
