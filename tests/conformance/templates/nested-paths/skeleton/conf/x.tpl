${{ values.component_id }} stays
