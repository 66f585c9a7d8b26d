package review

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

const maxTargets = 100 // stages whose images are compared

func isContainerfile(r *reviewer, name string) bool {
	if len(r.Containerfiles) > 0 {
		return slices.ContainsFunc(r.Containerfiles, func(use ContainerfileUse) bool { return path.Clean(use.Path) == name })
	}
	return depth(name) <= 1 && containerfile.FileName().MatchString(path.Base(name))
}

// compareContainerfiles compares the parts of a Containerfile that a build uses.
func compareContainerfiles(r *reviewer, name string, before, after []byte) []string {
	switch {
	case before == nil:
		return []string{"new"}
	case after == nil:
		return []string{"gone"}
	}
	is, err := containerfile.Parse(name, after)
	if err != nil {
		return []string{"cannot be read: " + withoutName(name, err)}
	}
	was, err := containerfile.Parse(name, before)
	if err != nil {
		return []string{"changed"}
	}
	var texts []string
	for _, text := range append(r.compareBases(name, was, is),
		listed("stages", was.Targets(), is.Targets()),
		r.compareArgs(name, was, is),
	) {
		if text != "" && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

var errorLine = lazyregexp.New(`^:([0-9]+): `)

// withoutName returns containerfile's error without the file's name.
func withoutName(name string, err error) string {
	reason := errorLine().ReplaceAllString(strings.TrimPrefix(err.Error(), name), "line $1: ")
	return text.Name(strings.TrimPrefix(reason, ": "))
}

func listed(what string, before, after []string) string {
	if text := addedAndGone(differences(before, after)); text != "" {
		return what + ": " + text
	}
	return ""
}

// compareBases compares the images that the components' targets use. Without a component, it
// compares the images of all stages.
func (r *reviewer) compareBases(name string, was, is *containerfile.File) []string {
	if len(r.Containerfiles) == 0 {
		before, _ := allBases(name, was)
		after, problem := allBases(name, is)
		return []string{changedBases(before, after), problem}
	}
	var texts []string
	for _, use := range r.Containerfiles {
		if path.Clean(use.Path) != name {
			continue
		}
		u := containerfile.Use{Target: use.Target, Args: use.Args, Contexts: use.Contexts}
		before, _ := basesOf(name, was, u)
		after, problem := basesOf(name, is, u)
		if problem != "" {
			texts = append(texts, problem)
		} else {
			texts = append(texts, changedBases(before, after))
		}
	}
	return texts
}

// basesOf lists the base images, or returns why it cannot.
func basesOf(name string, f *containerfile.File, u containerfile.Use) (names []string, problem string) {
	bases, err := f.Bases(u)
	if err != nil {
		return nil, withoutName(name, err)
	}
	for _, base := range bases {
		names = append(names, base.Name)
	}
	return names, ""
}

func allBases(name string, f *containerfile.File) (names []string, problem string) {
	targets := f.Targets()
	for _, target := range append(targets[:min(len(targets), maxTargets)], "") {
		some, why := basesOf(name, f, containerfile.Use{Target: target})
		names, problem = append(names, some...), cmp.Or(problem, why)
	}
	return names, problem
}

// changedBases distinguishes new tags of the same image from other images.
func changedBases(before, after []string) string {
	added, gone := differences(before, after)
	var parts []string
	for _, name := range slices.Clone(added) {
		at := slices.IndexFunc(gone, func(old string) bool { return imageName(old) == imageName(name) })
		if at < 0 {
			continue
		}
		parts = append(parts, arrow(gone[at], name))
		gone = slices.Delete(gone, at, at+1)
		added = slices.DeleteFunc(added, func(other string) bool { return other == name })
	}
	if rest := addedAndGone(added, gone); rest != "" {
		parts = append(parts, rest)
	}
	if len(parts) == 0 {
		return ""
	}
	return "base images: " + text.Enumerate(parts, "; ", 8)
}

var imageTag = lazyregexp.New(`(?::[\w.-]+)?(?:@[\w:]+)?$`)

func imageName(reference string) string { return imageTag().ReplaceAllString(reference, "") }

// compareArgs compares build arguments and their defaults, and names those that the
// catalogue sets without effect.
func (r *reviewer) compareArgs(name string, was, is *containerfile.File) string {
	before, after := defaultsOf(was), defaultsOf(is)
	oldNames, newNames := slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after))
	var parts []string
	if text := addedAndGone(differences(oldNames, newNames)); text != "" {
		parts = append(parts, text)
	}
	for _, arg := range newNames {
		if old, found := before[arg]; found && old != after[arg] {
			parts = append(parts, text.Name(arg)+" "+arrow(old, after[arg]))
		}
	}
	for _, arg := range oldNames {
		if _, still := after[arg]; !still && r.sets(name, arg) {
			parts = append(parts, "the catalogue still sets "+text.Name(arg))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "arguments: " + text.Enumerate(parts, "; ", 8)
}

func (r *reviewer) sets(name, arg string) bool {
	return slices.ContainsFunc(r.Containerfiles, func(use ContainerfileUse) bool {
		_, set := use.Args[arg]
		return set && path.Clean(use.Path) == name
	})
}

// defaultsOf returns the arguments with their defaults. A repeated declaration without a
// default keeps the earlier one.
func defaultsOf(f *containerfile.File) map[string]string {
	defaults := map[string]string{}
	for _, arg := range f.Args() {
		if arg.Default != nil {
			defaults[arg.Name] = *arg.Default
		} else if _, found := defaults[arg.Name]; !found {
			defaults[arg.Name] = ""
		}
	}
	return defaults
}

func isModules(_ *reviewer, name string) bool { return name == ".gitmodules" }

var moduleSetting = lazyregexp.New(`^\s*(path|url)\s*=\s*(.*?)\s*$`)

// compareModules compares submodules, since archives lack their content. Format:
// https://git-scm.com/docs/gitmodules
func compareModules(_ *reviewer, _ string, before, after []byte) []string {
	was, is := modulesOf(before), modulesOf(after)
	var texts []string
	for _, module := range allKeys(was, is) {
		switch old, now := was[module], is[module]; {
		case old == now:
		case old == "":
			texts = append(texts, "new submodule "+shownValue(module)+" of "+shownValue(now))
		case now == "":
			texts = append(texts, "submodule "+shownValue(module)+" is gone")
		default:
			texts = append(texts, "submodule "+shownValue(module)+": "+arrow(old, now))
		}
	}
	return texts
}

// modulesOf returns the URLs of submodules by path.
func modulesOf(data []byte) map[string]string {
	modules := map[string]string{}
	var folder, url string
	end := func() {
		if folder != "" {
			modules[folder] = cmp.Or(url, "an unknown URL")
		}
		folder, url = "", ""
	}
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(strings.TrimSpace(line), "[") {
			end()
		}
		switch found := moduleSetting().FindStringSubmatch(line); {
		case found == nil:
		case found[1] == "path":
			folder = found[2]
		default:
			url = found[2]
		}
	}
	end()
	return modules
}
