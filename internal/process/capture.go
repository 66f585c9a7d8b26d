package process

import (
	"bytes"
	"errors"
)

// errTooMuch ends a program that writes more than its limit.
var errTooMuch = errors.New("its output is too long")

// Capture collects the output of a program, up to a limit.
type Capture struct {
	bytes.Buffer
	Most int  // bytes; 0: no limit
	End  bool // beyond the limit keep only the end; otherwise it is an error
}

func (c *Capture) Write(data []byte) (int, error) {
	c.Buffer.Write(data)
	if over := c.Len() - c.Most; c.Most > 0 && over > 0 {
		if !c.End {
			return 0, errTooMuch
		}
		c.Next(over)
	}
	return len(data), nil
}
