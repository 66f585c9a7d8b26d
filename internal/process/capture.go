package process

import (
	"bytes"
	"errors"
)

// errTooMuch ends a program that writes more than anyone would read.
var errTooMuch = errors.New("its output is too long")

// Capture takes what a program writes, at most so many bytes.
type Capture struct {
	bytes.Buffer
	Most int  // bytes; 0: any number
	End  bool // of more than that keep the end; else more is an error
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
