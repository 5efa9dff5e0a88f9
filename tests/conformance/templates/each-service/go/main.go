package ${{ values.name }}

// port ${{ values.port or 80 }}
