package buildkit

import (
	"bytes"
	"fmt"
	"io"

	api "github.com/moby/buildkit/api/services/control"
)

// progress writes what the daemon says of a build as lines. A vertex is a step, or something that
// a step needs. Its number is on each of its lines.
type progress struct {
	to      io.Writer
	numbers map[string]int    // by digest of the vertex
	parts   map[string][]byte // by digest: a line of output that has not ended
	ended   map[string]bool
}

func (p *progress) update(u *api.StatusResponse) {
	for _, v := range u.Vertexes {
		if v.Started == nil && !v.Cached {
			continue
		}
		if _, known := p.numbers[v.Digest]; !known {
			p.numbers[v.Digest] = len(p.numbers) + 1
			p.line(v.Digest, v.Name)
		}
	}
	for _, l := range u.Logs {
		p.output(l.Vertex, l.Msg)
	}
	for _, v := range u.Vertexes {
		if v.Completed == nil && !v.Cached || p.ended[v.Digest] {
			continue
		}
		p.ended[v.Digest] = true
		if rest := p.parts[v.Digest]; len(rest) > 0 {
			p.line(v.Digest, string(rest))
			delete(p.parts, v.Digest)
		}
		switch {
		case v.Error != "":
			p.line(v.Digest, "ERROR: "+v.Error)
		case v.Cached:
			p.line(v.Digest, "CACHED")
		default:
			p.line(v.Digest, "DONE")
		}
	}
	for _, w := range u.Warnings {
		p.line(w.Vertex, "WARN: "+string(w.Short))
	}
}

// output writes the whole lines of a step's output.
func (p *progress) output(vertex string, text []byte) {
	text = append(p.parts[vertex], text...)
	for {
		line, rest, ended := bytes.Cut(text, []byte("\n"))
		if !ended {
			break
		}
		p.line(vertex, string(line))
		text = rest
	}
	p.parts[vertex] = text
}

func (p *progress) line(vertex, text string) { fmt.Fprintf(p.to, "#%d %s\n", p.numbers[vertex], text) }
