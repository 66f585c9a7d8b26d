package process

import (
	"bytes"
	"errors"
)

// errTooMuch ends a program that writes more than its limit.
var errTooMuch = errors.New("its output is too long")

// Capture collects the output of a program, up to a limit. It has no ReadFrom, by which
// os/exec would copy without the limit.
type Capture struct {
	Most int  // bytes; 0: no limit
	End  bool // beyond the limit keep only the end; otherwise it is an error

	buffer bytes.Buffer
}

// Bytes returns what is kept of the output.
func (c *Capture) Bytes() []byte { return c.buffer.Bytes() }

func (c *Capture) String() string { return c.buffer.String() }

func (c *Capture) Write(data []byte) (int, error) {
	c.buffer.Write(data)
	if over := c.buffer.Len() - c.Most; c.Most > 0 && over > 0 {
		if !c.End {
			return 0, errTooMuch
		}
		c.buffer.Next(over)
	}
	return len(data), nil
}
