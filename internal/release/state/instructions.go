package state

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/image"
	"github.com/libresh/libre/internal/release"
)

// AddUpstream adds to the components of apps the instructions of upstream's Containerfiles
// that configure the images, as far as they are known without fetching or building: from
// the changed source in the Nix store and, for the base's instructions, from the image in
// the layout. images are the images of the apps.
func (r *Reader) AddUpstream(ctx context.Context, images []*catalog.Spec, apps map[string]catalog.App) error {
	specs := slices.DeleteFunc(containerfileSpecs(images), func(s *catalog.Spec) bool { return s.Variant != "default" })
	sources, err := r.Nix.SourcesInStore(ctx, specs)
	if err != nil {
		return err
	}
	local, err := r.Local()
	if err != nil {
		return err
	}
	for _, target := range release.Targets(specs) {
		spec := target.Specs[0]
		component, known := apps[spec.App].Components[spec.Component]
		if !known || component.Upstream != nil {
			continue
		}
		var file *containerfile.FileConfig
		if source := sources[spec]; source != "" {
			file, _ = containerfile.ReadConfig(spec, source) // Defects reports errors in the Containerfile
		}
		component.Upstream = upstreamInstructions(spec, file, local.config(target), target.NeedsPkgs())
		apps[spec.App].Components[spec.Component] = component
	}
	return nil
}

// config returns the configuration of a target's image in the layout. It returns nil if the
// image is not there or has another key. If the key is unknown, it is not compared.
func (l Local) config(target *release.Target) *v1.Config {
	entry, there := l.entries[target.Ref.String()]
	if !there || !target.NeedsPkgs() && entry.Annotations[image.ImageKeyAnnotation] != target.Key() {
		return nil
	}
	manifests, err := l.layout.Manifests(entry)
	if err != nil || len(manifests) == 0 {
		return nil
	}
	config, err := l.layout.Config(manifests[0])
	if err != nil {
		return nil
	}
	return &config.Config
}

// upstreamInstructions returns the instructions that configure an image, compared with its
// definition. file is the Containerfile, made the configuration of the built image. Either
// may be nil, and if both are, the result is nil. If earlier is true, the image's key could
// not be compared, so it may be of an earlier definition.
func upstreamInstructions(spec *catalog.Spec, file *containerfile.FileConfig, made *v1.Config, earlier bool) []catalog.UpstreamInstruction {
	if file == nil && made == nil {
		return nil
	}
	all, from := []catalog.UpstreamInstruction{}, "the image in dist"
	if file != nil {
		all, from = fileInstructions(spec, file), "the base, as in dist"
	}
	if made == nil {
		return all
	}
	if earlier {
		from += ", perhaps older"
	}
	var silent v1.Config
	release.Configure(spec.Config)(&silent)
	defined, ours := instructions(silent), release.Labels(spec, "", release.BaseImage{})
	besides := *made
	if file != nil { // the base's ports and volumes are those that the file does not name
		besides.ExposedPorts = without(made.ExposedPorts, file.Config.ExposedPorts)
		besides.Volumes = without(made.Volumes, file.Config.Volumes)
	}
	of := instructions(besides)
	for _, name := range sortInstructions(of) {
		label := strings.TrimPrefix(name, "LABEL ")
		if label != name && (file != nil || ours[label] != "" || strings.HasPrefix(label, release.LibrePrefix) || image.IsReleaseLabel(label)) {
			continue
		}
		there := name != "EXPOSE" && name != "VOLUME" && slices.ContainsFunc(all, func(s catalog.UpstreamInstruction) bool { return s.Instruction == name })
		if !there && defined[name] == "" {
			all = append(all, catalog.UpstreamInstruction{Instruction: name, Value: of[name], From: from})
		}
	}
	return all
}

func without(set, less map[string]struct{}) map[string]struct{} {
	rest := maps.Clone(set)
	maps.DeleteFunc(rest, func(name string, _ struct{}) bool { _, gone := less[name]; return gone })
	return rest
}

// fileInstructions returns the instructions of a Containerfile, with the values that
// replace them in the image.
func fileInstructions(spec *catalog.Spec, file *containerfile.FileConfig) []catalog.UpstreamInstruction {
	all := []catalog.UpstreamInstruction{}
	config := file.Config
	release.Configure(spec.Config)(&config)
	config.Labels = imageLabels(file.Config.Labels, release.Labels(spec, "", release.BaseImage{}))
	upstream, has := instructions(file.Config), instructions(config)
	for _, name := range sortInstructions(upstream) {
		each := catalog.UpstreamInstruction{Instruction: name, Value: upstream[name], From: fmt.Sprintf("%s:%d", file.File, file.Lines[name])}
		if has[name] != upstream[name] {
			each.Instead = cmp.Or(has[name], "nothing")
		}
		all = append(all, each)
	}
	return all
}

// imageLabels returns upstream's labels with the values that they have in the image.
func imageLabels(upstream, ours map[string]string) map[string]string {
	all := maps.Clone(upstream)
	for name := range upstream {
		if value, given := ours[name]; given {
			all[name] = value
		} else if image.IsReleaseLabel(name) || strings.HasPrefix(name, release.LibrePrefix) {
			delete(all, name)
		}
	}
	return all
}

// instructions returns a configuration as Containerfile instructions: name → arguments. The
// name for a label is "LABEL NAME".
func instructions(c v1.Config) map[string]string {
	all := map[string]string{
		"EXPOSE": list(c.ExposedPorts), "VOLUME": list(c.Volumes), "USER": c.User, "HEALTHCHECK": healthcheck(c.Healthcheck),
		"STOPSIGNAL": c.StopSignal, "ENTRYPOINT": argv(c.Entrypoint), "CMD": argv(c.Cmd), "WORKDIR": c.WorkingDir,
	}
	for name, value := range c.Labels {
		all["LABEL "+name] = value
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// sortInstructions returns the names of instructions: first those with an attribute in
// definitions, then labels.
func sortInstructions(all map[string]string) []string {
	order := []string{"EXPOSE", "VOLUME", "USER", "HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT", "CMD", "WORKDIR"}
	rank := func(name string) int {
		if at := slices.Index(order, name); at >= 0 {
			return at
		}
		return len(order)
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
	})
}

func list(set map[string]struct{}) string { return strings.Join(slices.Sorted(maps.Keys(set)), " ") }

func argv(words []string) string {
	if len(words) == 0 {
		return ""
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(words); err != nil {
		return "" // cannot happen: strings always encode
	}
	return strings.TrimSpace(text.String())
}

func healthcheck(c *v1.HealthConfig) string {
	if c == nil || len(c.Test) == 0 {
		return ""
	}
	var words []string
	option := func(name string, value time.Duration) {
		if value != 0 {
			words = append(words, "--"+name+"="+value.String())
		}
	}
	option("interval", c.Interval)
	option("timeout", c.Timeout)
	option("start-period", c.StartPeriod)
	if c.Retries != 0 {
		words = append(words, fmt.Sprintf("--retries=%d", c.Retries))
	}
	switch c.Test[0] {
	case "CMD":
		words = append(words, "CMD", argv(c.Test[1:]))
	case "CMD-SHELL":
		words = append(words, "CMD", strings.Join(c.Test[1:], " "))
	default:
		words = append(words, c.Test...)
	}
	return strings.Join(words, " ")
}
