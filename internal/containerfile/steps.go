package containerfile

import (
	"strconv"

	"github.com/libresh/libre/internal/lazyregexp"
)

var (
	// buildah and podman: "[2/3] STEP 4/9: RUN make"
	containersStep = lazyregexp.New(`^(?:\[(\d+)/\d+\] )?STEP (\d+)/\d+: (.*)$`)
	// docker, --progress=plain: "#7 [linux/amd64 build 2/5] RUN make"
	buildxStep = lazyregexp.New(`^#\d+ \[((?:[^\]]* )?)(\d+)/(\d+)\] (.*)$`)
)

// steps counts the instructions that an engine starts.
type steps struct {
	total int
	call  func(done, total int, line string)
	added func(stage int) bool // whether a stage was added by rewrite, see mounted

	seen     map[string]bool
	perStage map[string]int // docker: its number of steps by stage
	last     position
}

// newSteps counts the steps of a plan, and reports them to call.
func newSteps(p *plan, call func(done, total int, line string)) *steps {
	return &steps{
		total: p.steps, call: call, seen: map[string]bool{}, perStage: map[string]int{},
		added: func(stage int) bool {
			_, added := p.original(stage)
			return added
		},
	}
}

// position is an instruction of the rewritten file.
type position struct{ stage, step int } // stage from 0; step from 1, which is FROM

func (s *steps) line(l string) {
	total := s.total
	var text string
	if m := containersStep().FindStringSubmatch(l); m != nil {
		stage, _ := strconv.Atoi(m[1])
		step, _ := strconv.Atoi(m[2])
		s.last = position{max(stage-1, 0), step}
		if s.added != nil && s.added(s.last.stage) {
			return
		}
		s.seen[m[1]+" "+m[2]] = true
		text = m[3]
	} else if m := buildxStep().FindStringSubmatch(l); m != nil {
		if s.seen[m[1]+" "+m[2]] {
			return
		}
		// BuildKit does not count instructions that only change the configuration.
		s.seen[m[1]+" "+m[2]] = true
		s.perStage[m[1]], _ = strconv.Atoi(m[3])
		total = 0
		for _, n := range s.perStage {
			total += n
		}
		text = m[4]
	} else {
		return
	}
	if s.call != nil {
		s.call(min(len(s.seen), total), total, text)
	}
}
