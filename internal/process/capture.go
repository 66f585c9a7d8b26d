package process

import (
	"bytes"
	"fmt"
)

// Capture collects the output of a program, up to a limit. It has no ReadFrom, by which
// os/exec would copy without the limit.
type Capture struct {
	Most int  // bytes; 0: no limit
	End  bool // beyond the limit keep only the end; otherwise it is an error, and the program ends

	buffer bytes.Buffer
}

// Bytes returns what is kept of the output.
func (c *Capture) Bytes() []byte { return c.buffer.Bytes() }

func (c *Capture) String() string { return c.buffer.String() }

// Err returns an error if the output is beyond the limit. It explains the program's own error,
// which is that it could not write.
func (c *Capture) Err() error {
	if c.Most > 0 && !c.End && c.buffer.Len() > c.Most {
		return fmt.Errorf("its output has more than %d bytes", c.Most)
	}
	return nil
}

func (c *Capture) Write(data []byte) (int, error) {
	c.buffer.Write(data)
	if over := c.buffer.Len() - c.Most; c.Most > 0 && over > 0 {
		if !c.End {
			return 0, c.Err()
		}
		c.buffer.Next(over)
	}
	return len(data), nil
}
