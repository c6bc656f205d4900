"""The AWS side as CDK stacks. What exists of it so far is the store: backend/adapters/dynamo."""
