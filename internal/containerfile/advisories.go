package containerfile

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

// advisory is a known vulnerability that lets a step escape from its build.
type advisory struct {
	id    string
	fixed map[string][][3]int // by engine: the first fixed version of each release line; newer lines are fixed too
}

// advisories come from the changelogs of buildah's release branches and podman's release notes.
// Distributions patch older versions without a new number: such an engine counts as vulnerable.
// https://github.com/containers/buildah/blob/main/CHANGELOG.md
// https://github.com/containers/podman/blob/main/RELEASE_NOTES.md
//
// The versions of docker come from the release notes of its daemon, which include BuildKit and
// runc.
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

// Unfixed lists the advisories that this version of the engine does not fix. libre refuses to
// use such a docker at all. With such a buildah or podman it only refuses Containerfiles that
// could exploit them (job.checkMounts).
func (e Engine) Unfixed() []string {
	var ids []string
	for _, a := range advisories {
		if lines, ok := a.fixed[e.Name]; ok && !e.fixedIn(lines) {
			ids = append(ids, a.id)
		}
	}
	return ids
}

var threeNumbers = lazyregexp.New(`^(\d+)\.(\d+)(?:\.(\d+))?`)

// fixedIn compares the version with the first fixed versions of release lines, which are
// in ascending order.
func (e Engine) fixedIn(lines [][3]int) bool {
	m := threeNumbers().FindStringSubmatch(e.Version)
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

// triggerError refuses a base with a trigger that a vulnerable engine cannot confine.
func triggerError(trigger string) error {
	return fmt.Errorf("its ONBUILD uses --mount, which this version of the engine cannot confine: %s", text.Line(trigger))
}
