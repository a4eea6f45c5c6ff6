"""The GPU: `health` monitors it, `errors` classifies the errors of its libraries, `share` splits cameras over GPUs."""
