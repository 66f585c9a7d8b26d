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

// AddUpstream puts into the components of apps what upstream's Containerfile says of the
// image's configuration, as far as it is known without fetching or building: of the
// changed source in the store, and of what the image in the layout has besides.
// images are those of the apps.
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
			file, _ = containerfile.ReadConfig(spec, source) // what is wrong with it is a defect
		}
		component.Upstream = said(spec, file, local.config(target), target.NeedsPkgs())
		apps[spec.App].Components[spec.Component] = component
	}
	return nil
}

// config is the configuration of a target's image as it is in the layout, nil where it is
// not there, or made of something else, as far as its key can be known.
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

// said compares what a Containerfile says, and the image that is built has, with the
// definition. Either may be nil: nothing is known then where both are. What is made may be
// of an earlier definition where its key could not be compared.
func said(spec *catalog.Spec, file *containerfile.FileConfig, made *v1.Config, earlier bool) []catalog.Said {
	if file == nil && made == nil {
		return nil
	}
	all, from := []catalog.Said{}, "the image in dist"
	if file != nil {
		all, from = ofFile(spec, file), "the base, as in dist"
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
	if file != nil { // what the base exposes is exposed beside it
		besides.ExposedPorts = without(made.ExposedPorts, file.Config.ExposedPorts)
		besides.Volumes = without(made.Volumes, file.Config.Volumes)
	}
	of := instructions(besides)
	for _, name := range inOrder(of) {
		label := strings.TrimPrefix(name, "LABEL ")
		if label != name && (file != nil || ours[label] != "" || strings.HasPrefix(label, release.LibrePrefix) || image.IsReleaseLabel(label)) {
			continue
		}
		there := name != "EXPOSE" && name != "VOLUME" && slices.ContainsFunc(all, func(s catalog.Said) bool { return s.Instruction == name })
		if !there && defined[name] == "" {
			all = append(all, catalog.Said{Instruction: name, Value: of[name], From: from})
		}
	}
	return all
}

func without(set, less map[string]struct{}) map[string]struct{} {
	rest := maps.Clone(set)
	maps.DeleteFunc(rest, func(name string, _ struct{}) bool { _, gone := less[name]; return gone })
	return rest
}

// ofFile is what a Containerfile says, and what the image has instead.
func ofFile(spec *catalog.Spec, file *containerfile.FileConfig) []catalog.Said {
	all := []catalog.Said{}
	config := file.Config
	release.Configure(spec.Config)(&config)
	config.Labels = relabelled(file.Config.Labels, release.Labels(spec, "", release.BaseImage{}))
	says, has := instructions(file.Config), instructions(config)
	for _, name := range inOrder(says) {
		each := catalog.Said{Instruction: name, Value: says[name], From: fmt.Sprintf("%s:%d", file.File, file.Lines[name])}
		if has[name] != says[name] {
			each.Instead = cmp.Or(has[name], "nothing")
		}
		all = append(all, each)
	}
	return all
}

// relabelled are upstream's labels as they are in the image.
func relabelled(upstream, ours map[string]string) map[string]string {
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

// instructions are the instructions of a Containerfile that give a configuration, without
// their name; a label's is "LABEL NAME".
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

// inOrder are the names of instructions: those that the definition has words for first.
func inOrder(all map[string]string) []string {
	order := []string{"EXPOSE", "VOLUME", "USER", "HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT", "CMD", "WORKDIR"}
	place := func(name string) int {
		if at := slices.Index(order, name); at >= 0 {
			return at
		}
		return len(order)
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
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
		return "" // strings encode
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
