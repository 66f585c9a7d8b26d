package cli

import (
	"fmt"
	"math"
	"strconv"
)

// number is the value of a flag: a whole number with limits.
type number struct {
	value       *int // the default before flags are read
	least, most int
}

const (
	unlimited = math.MaxInt
	mostPort  = 1<<16 - 1
)

func (n number) Set(text string) error {
	value, err := strconv.Atoi(text)
	switch {
	case err == nil && value >= n.least && value <= n.most:
		*n.value = value
		return nil
	case n.most == unlimited:
		return fmt.Errorf("expected a number, %d or more", n.least)
	}
	return fmt.Errorf("expected a number from %d to %d", n.least, n.most)
}

func (n number) String() string {
	if n.value == nil { // pflag compares with the zero value
		return ""
	}
	return strconv.Itoa(*n.value)
}

func (n number) Type() string { return "int" }
