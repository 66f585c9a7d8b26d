package files

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/libresh/libre/internal/sbom"
)

// Serve answers questions (sbom.Question, one a line) until there are no more.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	go func() { _, _ = licenseScanner() }() // most of a second, beside the first question
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var question sbom.Question
		if err := questions.Decode(&question); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		var answer sbom.Answer
		document, err := answerTo(ctx, question)
		if err != nil {
			answer.Error = err.Error()
		} else {
			answer.Document = document
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
}

func answerTo(ctx context.Context, question sbom.Question) (*sbom.Document, error) {
	switch {
	case question.StorePath != "":
		return FromStorePath(ctx, question.StorePath, question.Where)
	case question.Layout != "":
		return FromLayout(ctx, question.Layout, question.Subject)
	default:
		return &sbom.Document{Tools: tools()}, nil
	}
}
