package files

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/libresh/libre/internal/sbom"
)

// Serve answers questions, one sbom.Question a line, until the input ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	go func() { _, _ = licenseScanner() }() // takes most of a second: start with the first question
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var question sbom.Question
		if err := questions.Decode(&question); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if question.Temporary != "" {
			if err := os.Setenv("TMPDIR", question.Temporary); err != nil {
				return err
			}
		}
		answer, err := answerTo(ctx, question, func(met error) {
			_ = answers.Encode(sbom.Answer{Error: met.Error(), Last: true})
			os.Exit(1)
		})
		if err != nil {
			answer = sbom.Answer{Error: err.Error()}
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
}

// answerTo answers a question. At a limit it calls end, since syft cannot be interrupted.
func answerTo(ctx context.Context, question sbom.Question, end func(error)) (answer sbom.Answer, err error) {
	if question.StorePath == "" && question.Layout == "" && question.Modules == "" {
		return sbom.Answer{Document: &sbom.Document{Tools: tools()}}, nil
	}
	w, err := newWatch(question.Limits, end)
	if err != nil {
		return answer, err
	}
	defer w.end()
	switch {
	case question.Modules != "":
		answer.Licenses, err = moduleLicenses(ctx, question.Modules)
	case question.StorePath != "":
		answer.Document, err = fromStorePath(ctx, question.StorePath, question.Where, w)
	default:
		answer.Document, err = fromLayout(ctx, question.Layout, question.Subject, w)
	}
	return answer, err
}
