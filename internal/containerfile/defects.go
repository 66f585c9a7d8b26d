package containerfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/libresh/libre/internal/catalog"
)

// Defect is a problem in the definition of a Containerfile image.
type Defect struct {
	Err     error
	Fatal   bool   // the image cannot be built; otherwise a part of the definition has no effect
	Warning bool   // a step may behave differently than upstream: no error
	Fix     string // the command that fixes it, "" for an edit
}

// Defects finds problems without building: missing values of required arguments, and
// duplicate bases. With source, the folder of the patched source, it also finds a missing
// build context, Containerfile or stage, unused arguments, bases and named contexts, and
// steps that need a missing .git. source may be "", if it is not available.
func Defects(spec *catalog.Spec, source string) []Defect {
	var all []Defect
	of := spec.Containerfile()
	for _, name := range of.MissingArgs() {
		all = append(all, Defect{Err: fmt.Errorf("argument %s is required: set components.%s.args.%s in apps/%s/default.nix", name, spec.Component, name, spec.App), Fatal: true})
	}
	for _, name := range slices.Sorted(maps.Keys(of.Args)) {
		if !argName().MatchString(name) {
			all = append(all, Defect{Err: badArgument(name), Fatal: true})
		}
	}
	for _, same := range sameKeys(of.Bases) {
		all = append(all, Defect{Err: fmt.Errorf("components.%s.bases has %q and %q, which name the same image: remove one of them", spec.Component, same[0], same[1]), Fatal: true})
	}
	if source == "" {
		return all
	}
	j, err := jobOf(spec, source)
	if err != nil {
		return append(all, Defect{Err: err, Fatal: true})
	}
	if err := j.open(); err != nil {
		// A missing value of an argument in FROM is reported above.
		if len(all) == 0 || !strings.Contains(err.Error(), "has no value") {
			all = append(all, Defect{Err: err, Fatal: true})
		}
		if j.file == nil {
			return all
		}
	}
	var moved map[string][]Base
	if j.plan != nil {
		pins, _ := j.pins(of.Bases) // a fetch reports invalid names
		moved = pins.Moved
	}
	for _, err := range j.unused(spec, moved) {
		all = append(all, Defect{Err: err})
	}
	for _, err := range j.missingRepository() {
		all = append(all, Defect{Err: err, Warning: true})
	}
	return append(all, j.moved(spec, moved)...)
}

func badArgument(name string) error {
	return fmt.Errorf("build argument %q: expected a name of letters, digits and \"_\"", name)
}

// jobOf returns the job of an image, for planning only.
func jobOf(spec *catalog.Spec, source string) (*job, error) {
	platform, err := catalog.Platform(spec.System)
	if err != nil {
		return nil, err
	}
	of := spec.Containerfile()
	j := &job{Request: Request{
		Source: source, Context: of.Context, File: of.File, Args: map[string]string{}, Contexts: of.Contexts, Platform: platform,
	}}
	if of.Target != nil {
		j.Target = *of.Target
	}
	for name, value := range of.Args {
		if value != nil {
			j.Args[name] = *value
		}
	}
	return j, nil
}

// predefined lists arguments that a file need not declare.
// https://docs.docker.com/reference/dockerfile/#predefined-args
var predefined = []string{"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY", "SOURCE_DATE_EPOCH"}

// unused reports arguments, bases and contexts of a definition that the file does not use.
func (j *job) unused(spec *catalog.Spec, moved map[string][]Base) []error {
	var all []error
	of, declared := spec.Containerfile(), j.file.Args()
	for _, name := range slices.Sorted(maps.Keys(of.Args)) {
		_, automatic := autoArgs(j.Platform, j.Target)[name]
		known := slices.ContainsFunc(declared, func(a Arg) bool { return a.Name == name })
		if !known && !automatic && !slices.Contains(predefined, strings.ToUpper(name)) && !strings.HasPrefix(name, "BUILDKIT_") {
			all = append(all, j.file.errorf(0, "unknown argument %s%s: remove it from components.%s.args, or correct its name",
				name, listed(argNames(declared)), spec.Component))
		}
	}
	images, settled := j.knownImages()
	if !settled {
		return all
	}
	report := func(attribute string, keys []string, is func(key, name string) bool) {
		for _, key := range keys {
			if _, known := moved[key]; !known && !slices.ContainsFunc(images, func(name string) bool { return is(key, name) }) {
				all = append(all, j.file.errorf(0, "unknown image %s%s: remove it from components.%s.%s, or correct its name",
					key, listed(images), spec.Component, attribute))
			}
		}
	}
	report("bases", slices.Sorted(maps.Keys(of.Bases)), func(key, name string) bool { _, is := covers(key, name); return is })
	report("contexts", slices.Sorted(maps.Keys(of.Contexts)), sameImage)
	return all
}

// knownImages lists the image names of the whole file, on all platforms. complete is false if a
// name depends on an argument without a value, or on an argument that the definition sets:
// variants share their bases, but may set it differently.
func (j *job) knownImages() (images []string, complete bool) {
	images, complete = j.file.images(j.Args, j.Platform)
	whatever, _ := j.file.images(nil, j.Platform)
	if !complete || !slices.Equal(images, whatever) {
		return nil, false
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64"} { // names may contain the architecture
		names, _ := j.file.images(j.Args, platform)
		for _, name := range names {
			if !slices.Contains(images, name) {
				images = append(images, name)
			}
		}
	}
	return images, true
}

func argNames(args []Arg) []string {
	var names []string
	for _, arg := range args {
		if !slices.Contains(names, arg.Name) {
			names = append(names, arg.Name)
		}
	}
	return names
}

// listed lists the names that the file has.
func listed(names []string) string {
	if len(names) == 0 {
		return ", the file has none"
	}
	return ", the file has " + strings.Join(names, ", ")
}

// images lists the names of images and named contexts in the whole file, for every target.
// complete is false if a name has an argument without a value.
func (f *File) images(args map[string]string, platform string) (names []string, complete bool) {
	use := Use{Args: args, Platform: platform}
	env, err := f.globals(use, "")
	if err != nil {
		return nil, false
	}
	r := resolver{file: f, use: use, env: env, lex: shell.NewLex(f.escape)}
	complete = true
	add := func(stages int, name string) {
		if name != "" && name != "scratch" && f.stageBefore(stages, name) < 0 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for i := range f.stages {
		s := &f.stages[i]
		name, err := r.expand(s, s.BaseName)
		if err != nil {
			complete = false
		}
		add(i, name)
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.CopyCommand:
				add(len(f.stages), c.From)
			case *instructions.RunCommand:
				for _, m := range instructions.GetMounts(c) {
					add(len(f.stages), m.From)
				}
			}
		}
	}
	return names, complete
}
