package containerfile

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/libresh/libre/internal/text"
)

// feature is an instruction, a flag or a syntax that not every engine supports.
type feature struct {
	name  string                          // as in docs/compatibility.md
	since map[string][2]int               // by engine, the first version that supports it; other engines do not
	used  func(instructions.Command) bool // whether an instruction needs it
	do    string                          // what to write instead, or ""
}

// features lists what at least one supported engine lacks. All engines support everything else.
// For docker, the version is that of its daemon.
//
// Sources: for buildah and podman their change logs, and what their code refuses; for
// docker the Dockerfile version of its BuildKit.
// https://github.com/containers/buildah/blob/v1.44.0/CHANGELOG.md
// https://github.com/containers/podman/blob/main/RELEASE_NOTES.md
// https://docs.docker.com/build/buildkit/dockerfile-release-notes/
var features = []feature{
	{"here-documents", since(33, 4, 8, 23, 0), hasHeredoc, "or write RUN with &&, and COPY of a file"},
	fromContext,
	linkOfBase,
	{"RUN --network=none", since(30, 4, 5, 23, 0), network("none"), "or remove it"},
	{"RUN --network=host", nil, network("host"), "remove it: steps have a network, but never this machine's own"},
	{"RUN --security=insecure", nil, insecure, "remove it: steps get no extra privileges"},
	{"RUN --device", nil, device, "remove it: steps get no devices of this machine"},
	{"RUN --mount=type=secret,env=", since(44, 6, 0, 27, 3), secretInVariable, "or read the file of the secret, in /run/secrets"},
	{"COPY --parents", since(40, 5, 5, 29, 1), parents, "or write a COPY for each folder"},
	{"COPY --exclude, ADD --exclude", only(28, 5), excludes, "or exclude the files with .dockerignore, or copy only the files you want"},
	{"COPY --chmod, ADD --chmod with a symbolic mode", only(28, 0), chmodByLetters, "or write the mode as a number, as in --chmod=0755"},
	{"ADD --checksum", since(33, 4, 8, 25, 0), checksum, "or compare with sha256sum in a RUN"},
	{"ADD of a git repository", only(25, 0), addsGit, "or ADD an archive of it"},
	{"ADD --keep-git-dir", only(25, 0), keepsGitDir, "or remove it"},
	{"ADD --unpack", only(28, 3), unpacks, "or unpack it in a RUN"},
	{"HEALTHCHECK --start-interval", nil, startInterval, "remove it: libre cannot store it in images; --interval and --start-period work"},
	{"variable expansion with #, % and /", only(26, 0), variables(trimmed()), "or set it with ARG"},
	{"variable expansion with -, + and ? without a colon", only(23, 0), variables(colonless()), "or write the colon, as in ${NAME:-word}"},
}

// fromContext is for FROM, and linkOfBase for the triggers of a base: the file's own
// --link flags are dropped.
var (
	fromContext = feature{"FROM of a named context", only(23, 0), nil, "or write FROM scratch and COPY --from"}
	linkOfBase  = feature{"ONBUILD COPY --link, ONBUILD ADD --link of a base", since(41, 5, 6, 23, 0), nil, "or take a base without it"}
)

// since returns the first versions of buildah 1, podman and docker.
func since(buildah, podmanMajor, podman, dockerMajor, docker int) map[string][2]int {
	return map[string][2]int{"buildah": {1, buildah}, "podman": {podmanMajor, podman}, "docker": {dockerMajor, docker}}
}

// only returns the version for a feature that buildah and podman lack, or implement differently
// than the reference: their --exclude keeps some files, ADD keeps a repository's .git, and
// ${A#word} does not always remove word.
func only(major, minor int) map[string][2]int { return map[string][2]int{"docker": {major, minor}} }

// missingIn reports whether an engine lacks the feature.
func (f feature) missingIn(e Engine) bool {
	if e.Name == "buildkit" { // docker has BuildKit
		_, ok := f.since["docker"]
		return !ok
	}
	first, ok := f.since[e.Name]
	return !ok || !e.atLeast(first)
}

// problem says that an engine lacks the feature, which engines have it, and what to do.
func (f feature) problem(e Engine) string {
	var have []string
	for _, t := range tools {
		if first, ok := f.since[t.name]; ok {
			have = append(have, fmt.Sprintf("%s %d.%d", t.name, first[0], first[1]))
		}
	}
	if len(have) == 0 {
		return fmt.Sprintf("libre does not allow %s: %s", f.name, f.do)
	}
	message := fmt.Sprintf("%s does not support %s: use %s or newer", e, f.name, strings.Join(have, ", "))
	if f.do != "" {
		message += "; " + f.do
	}
	return message
}

// unsupported reports the steps of a build that need a feature that the engine lacks, each with
// its line and what to do.
func (j *job) unsupported(e Engine) []error {
	var problems []error
	built := map[int]bool{} // by line of FROM: stages that others are built on, which runs their triggers
	for _, i := range j.plan.used {
		if from := j.plan.from[i].stage; from != nil {
			built[from.line] = true
		}
	}
	for _, i := range j.plan.used {
		s := &j.file.stages[i]
		if j.plan.from[i].context != "" && fromContext.missingIn(e) {
			problems = append(problems, j.file.errorf(s.line, "%s", fromContext.problem(e)))
		}
		for _, c := range s.Commands {
			line := firstLine(c.Location())
			if trigger, ok := c.(*instructions.OnbuildCommand); ok && built[s.line] {
				c = triggered(trigger.Expression)
			}
			for _, f := range unsupportedIn(e, c) {
				problems = append(problems, j.file.errorf(line, "%s", f.problem(e)))
			}
		}
	}
	return problems
}

// checkTriggerFeatures refuses a base with an ONBUILD that the engine does not support.
func checkTriggerFeatures(e Engine, triggers []string) error {
	for _, trigger := range triggers {
		c := triggered(trigger)
		lacked := unsupportedIn(e, c)
		if linkOfBase.missingIn(e) && links(c) {
			lacked = append(lacked, linkOfBase)
		}
		if len(lacked) > 0 {
			return fmt.Errorf("its ONBUILD %s: %s", text.Line(trigger), lacked[0].problem(e))
		}
	}
	return nil
}

// unsupportedIn returns the features of an instruction that the engine lacks.
func unsupportedIn(e Engine, c instructions.Command) []feature {
	var lacked []feature
	for _, f := range features {
		if c != nil && f.used != nil && f.missingIn(e) && f.used(c) {
			lacked = append(lacked, f)
		}
	}
	return lacked
}

// triggered parses the instruction of an ONBUILD; nil if it is invalid.
func triggered(expression string) instructions.Command {
	tree, err := parser.Parse(strings.NewReader(expression))
	if err != nil || len(tree.AST.Children) == 0 {
		return nil
	}
	parsed, err := instructions.ParseInstructionWithLinter(tree.AST.Children[0], linter.New(&linter.Config{}))
	if err != nil {
		return nil
	}
	c, _ := parsed.(instructions.Command)
	return c
}
