package containerfile

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// advisory is a way out of a build that an engine had.
type advisory struct {
	id    string
	fixed map[string][][3]int // by engine: the first fixed version of each line, the last also of all newer lines
}

// advisories are from the changelogs of buildah's release branches and podman's release
// notes. Distributions that fix an older version do not change its number: such an
// engine is taken for one that is not fixed.
// https://github.com/containers/buildah/blob/main/CHANGELOG.md
// https://github.com/containers/podman/blob/main/RELEASE_NOTES.md
//
// docker's are of the daemon, from its release notes: what BuildKit and runc in it had.
// https://docs.docker.com/engine/release-notes/25.0/
var advisories = []advisory{
	{"CVE-2024-21626", map[string][][3]int{"docker": {{24, 0, 9}, {25, 0, 2}}}},
	{"CVE-2024-23651", map[string][][3]int{"docker": {{24, 0, 9}, {25, 0, 2}}}},
	{"CVE-2024-23652", map[string][][3]int{"docker": {{24, 0, 9}, {25, 0, 2}}}},
	{"CVE-2024-1753", map[string][][3]int{
		"buildah": {{1, 29, 3}, {1, 31, 5}, {1, 32, 3}, {1, 33, 7}, {1, 34, 2}, {1, 35, 1}}, "podman": {{4, 9, 4}, {5, 0, 0}}}},
	{"CVE-2024-9407", map[string][][3]int{
		"buildah": {{1, 33, 12}, {1, 35, 5}, {1, 37, 4}, {1, 38, 0}}, "podman": {{5, 2, 4}}}},
	{"CVE-2024-9675", map[string][][3]int{
		"buildah": {{1, 33, 12}, {1, 37, 5}, {1, 38, 0}}, "podman": {{5, 2, 5}}}},
	{"CVE-2024-9676", map[string][][3]int{
		"buildah": {{1, 33, 11}, {1, 37, 5}, {1, 38, 0}}, "podman": {{5, 2, 5}}}},
	{"CVE-2024-11218", map[string][][3]int{
		"buildah": {{1, 33, 12}, {1, 37, 6}, {1, 38, 1}}, "podman": {{5, 3, 2}}}},
}

// Unfixed lists known ways out of a build that this version of the engine still has.
// libre keeps Containerfiles from using those of buildah and podman, see job.guard, and
// refuses such a docker.
func (e Engine) Unfixed() []string {
	var ids []string
	for _, a := range advisories {
		if lines, ok := a.fixed[e.Name]; ok && !e.fixedIn(lines) {
			ids = append(ids, a.id)
		}
	}
	return ids
}

var threeNumbers = regexp.MustCompile(`^(\d+)\.(\d+)(?:\.(\d+))?`)

// fixedIn compares with the first fixed versions of release lines, in ascending order.
func (e Engine) fixedIn(lines [][3]int) bool {
	m := threeNumbers.FindStringSubmatch(e.Version)
	if m == nil {
		return false
	}
	var have [3]int
	for i := range have {
		have[i], _ = strconv.Atoi(m[i+1])
	}
	for _, line := range lines {
		if have[0] == line[0] && have[1] == line[1] {
			return have[2] >= line[2]
		}
	}
	return slices.Compare(have[:], lines[len(lines)-1][:]) > 0
}

// onbuildRefused is why a base with triggers is not built on by an engine that is not fixed.
func onbuildRefused(trigger string) error {
	return fmt.Errorf("its ONBUILD uses --mount, which this version of the engine cannot confine: %s", oneLine(trigger))
}
