package run

import (
	"bytes"
	"sync"

	"github.com/libresh/libre/internal/text"
)

// mostLine is the longest line of a service's output; longer ones are cut in pieces.
const mostLine = 64 << 10

// output passes on the lines of a service.
type output struct {
	line func(string)

	mu     sync.Mutex
	part   []byte // a line that has not ended
	newest string
}

// output returns the output of a service or server.
func (r *runner) output(name string) *output {
	o := &output{line: func(line string) { r.Watcher.Log(name, line) }}
	r.outputs[name] = o
	return o
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.part = append(o.part, p...)
	for {
		end := bytes.IndexByte(o.part, '\n')
		if end < 0 && len(o.part) < mostLine {
			return len(p), nil
		}
		if end < 0 {
			end = len(o.part) - 1
		}
		o.newest = text.OutputLine(string(o.part[:end+1]))
		o.part = o.part[end+1:]
		o.line(o.newest)
	}
}

// last is the last line, short enough for an error.
func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return text.Short(o.newest, 200)
}
