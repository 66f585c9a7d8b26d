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

// Defect is something that is wrong with the definition of a Containerfile image.
type Defect struct {
	Err     error
	Fatal   bool   // it cannot be built; otherwise a part of the definition does nothing
	Warning bool   // or a step may do another thing than upstream's: a warning, and no error
	Fix     string // the command that mends it, "" for an edit
}

// Defects finds what can be known without building: required arguments without a value,
// bases that mean the same, and, of the image's changed source in a folder, a build context,
// a Containerfile or a stage that is not there, arguments, bases and named contexts that
// the file has no use for, and steps that look for a .git in vain. Where the source is not to
// be had, it is "", and that part is left out.
func Defects(spec *catalog.Spec, source string) []Defect {
	var all []Defect
	for _, name := range spec.MissingArgs() {
		all = append(all, Defect{Err: fmt.Errorf("argument %s is required: set components.%s.args.%s in apps/%s/default.nix", name, spec.Component, name, spec.App), Fatal: true})
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Args)) {
		if !argName.MatchString(name) {
			all = append(all, Defect{Err: badArgument(name), Fatal: true})
		}
	}
	for _, same := range sameKeys(spec.Bases) {
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
		// That an argument of a FROM line has no value was said.
		if len(all) == 0 || !strings.Contains(err.Error(), "has no value") {
			all = append(all, Defect{Err: err, Fatal: true})
		}
		if j.file == nil {
			return all
		}
	}
	var moved map[string][]Base
	if j.plan != nil {
		pins, _ := j.pins(spec.Bases) // what is wrong with names is found when they are looked up
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

// jobOf is the build of an image, as far as it can be planned.
func jobOf(spec *catalog.Spec, source string) (*job, error) {
	platform, err := catalog.Platform(spec.System)
	if err != nil {
		return nil, err
	}
	j := &job{Request: Request{
		Source: source, Context: spec.Context, File: spec.File, Args: map[string]string{}, Contexts: spec.Contexts, Platform: platform,
	}}
	if spec.Target != nil {
		j.Target = *spec.Target
	}
	for name, value := range spec.Args {
		if value != nil {
			j.Args[name] = *value
		}
	}
	return j, nil
}

// predefined are arguments that a file need not declare.
// https://docs.docker.com/reference/dockerfile/#predefined-args
var predefined = []string{"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY", "SOURCE_DATE_EPOCH"}

// unused lists what a definition gives and the file does not have.
func (j *job) unused(spec *catalog.Spec, moved map[string][]Base) []error {
	var all []error
	declared := j.file.Args()
	for _, name := range slices.Sorted(maps.Keys(spec.Args)) {
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
	report("bases", slices.Sorted(maps.Keys(spec.Bases)), func(key, name string) bool { _, is := covers(key, name); return is })
	report("contexts", slices.Sorted(maps.Keys(spec.Contexts)), sameImage)
	return all
}

// settled lists what the whole file calls an image, on any platform. It is not settled
// where what a name is follows from an argument that has no value, or that the definition
// sets: variants, which have the same bases, may set another one.
func (j *job) knownImages() (images []string, is bool) {
	images, complete := j.file.images(j.Args, j.Platform)
	whatever, _ := j.file.images(nil, j.Platform)
	if !complete || !slices.Equal(images, whatever) {
		return nil, false
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64"} { // a name may have the architecture in it
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

// listed says what there is instead.
func listed(names []string) string {
	if len(names) == 0 {
		return ", the file has none"
	}
	return ", the file has " + strings.Join(names, ", ")
}

// images lists what the whole file, whatever the target, calls an image or a named
// context. It is not complete where a name has an argument without a value.
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
